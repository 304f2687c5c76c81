package msgpack_test

import (
	"fmt"

	"github.com/strata-cache/strata/core/codec/msgpack"
)

func ExampleNew() {
	data, err := msgpack.New().Append(nil, map[string]int{"b": 2, "a": 1})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%q\n", data)
	// Output: "\x82\xa1a\x01\xa1b\x02"
}
