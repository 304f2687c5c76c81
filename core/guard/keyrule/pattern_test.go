package keyrule_test

import (
	"errors"
	"testing"

	"github.com/strata-cache/strata/core/guard/keyrule"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		expr, key string
		ok        bool
	}{
		{`[0-9]+`, "42", true},
		{`[0-9]+`, "42a", false},
		{`[0-9]+`, "a42", false},
		{`[0-9]+`, "42\n", false},
		{`a|b`, "b", true},
		{`a|b`, "ab", false},
	}
	for _, tt := range tests {
		schema, err := keyrule.Pattern(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = keyrule.Rule{Schema: schema}.Append(nil, tt.key)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, keyrule.ErrRejected) {
			t.Errorf("%s, %q: %v", tt.expr, tt.key, err)
		}
	}
	if _, err := keyrule.Pattern(`[`); err == nil {
		t.Error("a malformed pattern was taken")
	}
}
