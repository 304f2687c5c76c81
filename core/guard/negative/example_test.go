package negative_test

import (
	"fmt"
	"time"

	"github.com/strata-cache/strata/core/guard/negative"
	"github.com/strata-cache/strata/core/store"
)

func ExampleNew() {
	nulls, err := negative.New(negative.Options{})
	if err != nil {
		panic(err)
	}
	until := time.Now().Add(30 * time.Second).UnixMilli()
	nulls.Set("user:7", &store.Entry{
		Times: store.Times{Fresh: until, Gone: until}, Flags: store.FlagNegative, Tags: []string{"users"},
	})
	fmt.Println(nulls.Get("user:7") != nil, nulls.Get("user:8") != nil)

	nulls.Delete("user:7") // it was created
	fmt.Println(nulls.Get("user:7") != nil)
	// Output:
	// true false
	// false
}
