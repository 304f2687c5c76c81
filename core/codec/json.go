package codec

import (
	"bytes"
	"encoding/json"
)

// JSON returns the codec of encoding/json: readable in the store, and understood by other languages. It
// is the default. Map keys are sorted, so it is canonical; a type's own MarshalJSON and MarshalText have
// to be. Strings must be UTF-8: other bytes come back as U+FFFD.
func JSON() Codec { return jsonCodec{} }

type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Append(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, err
	}
	// The encoder ends each value with a line feed.
	return buf.Bytes()[:buf.Len()-1], nil
}

func (jsonCodec) Decode(data []byte, v any) error { return json.Unmarshal(data, v) }
