package zstd_test

import (
	"fmt"
	"strings"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/codec/zstd"
)

func ExampleNew() {
	c, err := zstd.New(codec.JSON(), zstd.Options{MinSize: 256})
	if err != nil {
		panic(err)
	}
	page := strings.Repeat("<li>item</li>", 1000)
	data, err := c.Append(nil, page)
	if err != nil {
		panic(err)
	}
	var back string
	if err := c.Decode(data, &back); err != nil {
		panic(err)
	}
	fmt.Println(c.Name(), len(data) < len(page)/100, back == page)
	// Output: zstd(256;json) true true
}
