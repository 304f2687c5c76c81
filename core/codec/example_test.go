package codec_test

import (
	"fmt"
	"reflect"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/store"
)

func ExampleAppendFrame() {
	frame, err := codec.AppendFrame(nil, "user:42", &store.Entry{Value: []byte("v"), Tags: []string{"team:7"}})
	if err != nil {
		panic(err)
	}
	e, err := codec.DecodeFrame("user:42", frame)
	fmt.Println(len(frame), e.Tags, err)
	_, err = codec.DecodeFrame("user:43", frame)
	fmt.Println(err)
	// Output:
	// 112 [team:7] <nil>
	// codec: frame belongs to another key
}

func ExampleGob() {
	_, err := codec.Gob().Append(nil, map[string]int{})
	fmt.Println(err)
	// Output: codec: type is not supported: gob: map[string]int is not encoded in the same way in every process
}

func ExampleFingerprint() {
	type v1 struct{ Name string }
	type v2 struct{ Name, Mail string }
	fmt.Println(codec.Fingerprint(reflect.TypeFor[v1](), "json") == codec.Fingerprint(reflect.TypeFor[v2](), "json"))
	// Output: false
}
