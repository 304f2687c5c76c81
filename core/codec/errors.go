package codec

import (
	"errors"

	"github.com/strata-cache/strata/core/store"
)

// errFrame is the base of the reasons why bytes are not a frame of ours. All of them are
// store.ErrCorrupt.
type errFrame string

func (e errFrame) Error() string        { return "codec: " + string(e) }
func (e errFrame) Is(target error) bool { return target == store.ErrCorrupt }

// The reasons why DecodeFrame refuses bytes. errors.Is(err, store.ErrCorrupt) holds for all.
const (
	ErrForeign   = errFrame("not a frame of this kit")
	ErrVersion   = errFrame("frame of a newer version")
	ErrFlags     = errFrame("frame with flags of a newer version")
	ErrTruncated = errFrame("frame is truncated or too long")
	ErrChecksum  = errFrame("frame fails its checksum")
	ErrOtherKey  = errFrame("frame belongs to another key")
	ErrMalformed = errFrame("frame is malformed")
)

// ErrUnencodable is returned by AppendFrame for an entry that a frame cannot hold.
var ErrUnencodable = errors.New("codec: entry does not fit into a frame")

// ErrUnsupportedType is returned by a codec for a value of a type that it cannot encode, or not in the
// same way in every process. See [TypeChecker].
var ErrUnsupportedType = errors.New("codec: type is not supported")
