package codec

import (
	"bytes"
	"fmt"
	"reflect"
)

// Raw returns the codec of strings, byte slices and types made of them: their bytes as they are.
func Raw() Codec { return rawCodec{} }

type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return append(dst, v...), nil
	case []byte:
		return append(dst, v...), nil
	}
	switch r := reflect.ValueOf(v); {
	case r.Kind() == reflect.String:
		return append(dst, r.String()...), nil
	case isBytes(r):
		return append(dst, r.Bytes()...), nil
	}
	return dst, fmt.Errorf("codec: raw cannot encode a %T, only strings and byte slices", v)
}

func (rawCodec) Decode(data []byte, v any) error {
	switch v := v.(type) {
	case *string:
		*v = string(data)
		return nil
	case *[]byte:
		*v = bytes.Clone(data)
		return nil
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && !r.IsNil() {
		switch r = r.Elem(); {
		case r.Kind() == reflect.String:
			r.SetString(string(data))
			return nil
		case isBytes(r):
			r.SetBytes(bytes.Clone(data))
			return nil
		}
	}
	return fmt.Errorf("codec: raw cannot decode into a %T, only into strings and byte slices", v)
}

func isBytes(r reflect.Value) bool {
	return r.Kind() == reflect.Slice && r.Type().Elem().Kind() == reflect.Uint8
}
