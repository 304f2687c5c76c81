package codec

import (
	"fmt"
	"reflect"
)

// Raw returns the codec of strings, byte slices and types made of them: their bytes as they are. An empty
// slice comes back empty, not nil.
func Raw() Codec { return rawCodec{} }

type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return append(dst, v...), nil
	case []byte:
		return append(dst, v...), nil
	case nil:
		return dst, fmt.Errorf("%w: raw: nil", ErrUnsupportedType)
	}
	r := reflect.ValueOf(v)
	if err := (rawCodec{}).CheckType(r.Type()); err != nil {
		return dst, err
	}
	if r.Kind() == reflect.String {
		return append(dst, r.String()...), nil
	}
	return append(dst, r.Bytes()...), nil
}

func (rawCodec) Decode(data []byte, v any) error {
	switch v := v.(type) {
	case *string:
		*v = string(data)
		return nil
	case *[]byte:
		*v = append([]byte{}, data...)
		return nil
	}
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Pointer || r.IsNil() {
		return fmt.Errorf("codec: raw: decode into a %T, which is not a pointer or nil", v)
	}
	r = r.Elem()
	if err := (rawCodec{}).CheckType(r.Type()); err != nil {
		return err
	}
	if r.Kind() == reflect.String {
		r.SetString(string(data))
	} else {
		r.SetBytes(append([]byte{}, data...))
	}
	return nil
}

// CheckType implements [TypeChecker].
func (rawCodec) CheckType(t reflect.Type) error {
	if t.Kind() == reflect.String || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		return nil
	}
	return fmt.Errorf("%w: raw: %v is neither a string nor a byte slice", ErrUnsupportedType, t)
}
