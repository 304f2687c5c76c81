package codec

import (
	"errors"

	"github.com/strata-cache/strata/core/store"
)

// frameError is the base of the reasons why bytes are not a frame of ours. All of them are
// store.ErrCorrupt.
type frameError string

func (e frameError) Error() string        { return "codec: " + string(e) }
func (e frameError) Is(target error) bool { return target == store.ErrCorrupt }

// The reasons why DecodeFrame refuses bytes. errors.Is(err, store.ErrCorrupt) holds for all.
const (
	ErrForeign   = frameError("not a frame of this kit")
	ErrVersion   = frameError("frame of a newer version")
	ErrFlags     = frameError("frame with flags of a newer version")
	ErrTruncated = frameError("frame is truncated or too long")
	ErrChecksum  = frameError("frame fails its checksum")
	ErrOtherKey  = frameError("frame belongs to another key")
	ErrMalformed = frameError("frame is malformed")
)

// ErrUnencodable is returned by AppendFrame for an entry that a frame cannot hold.
var ErrUnencodable = errors.New("codec: entry does not fit into a frame")

// ErrUnsupportedType is returned by a codec for a value of a type that it cannot encode, or not in the
// same way in every process. See [TypeChecker].
var ErrUnsupportedType = errors.New("codec: type is not supported")
