package page_test

import (
	"strings"
	"testing"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
)

func TestOptionsThatAreRefused(t *testing.T) {
	c := open(t, memory(t), cache.Options{})
	for name, o := range map[string]page.Options{
		"standard mode":        {Mode: page.Standard},
		"no mode":              {Mode: 9},
		"no cookie policy":     {Cookies: 9},
		"negative variants":    {MaxVariants: -1},
		"a long prefix":        {Prefix: strings.Repeat("x", 36)},
		"a prefix with blanks": {Prefix: "a b"},
		"two parameter lists":  {IgnoreParams: []string{"a"}, OnlyParams: []string{"b"}},
		"a name with a blank":  {Name: "a b"},
		"a name in digits":     {Name: "1cache"},
		"a name with a dash":   {Name: "-cache"},
		"Vary Cookie":          {Vary: []string{"cookie"}},
		"Vary star":            {Vary: []string{"*"}},
		"Vary nonsense":        {Vary: []string{"a b"}},
		"Vary nothing":         {Vary: []string{""}},
		"a star inside":        {IgnoreParams: []string{"a*b"}},
		"an empty parameter":   {IgnoreParams: []string{""}},
		"an empty cookie":      {IgnoreCookies: []string{""}},
		"a cookie with a sign": {VaryCookies: []string{"a="}},
		"only the nameless":    {OnlyParams: []string{""}},
	} {
		if _, err := page.New(c, o); err == nil || !strings.HasPrefix(err.Error(), "page: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := page.New(nil, page.Options{}); err == nil {
		t.Error("New without a cache")
	}
	for _, name := range []string{"", "-", "cdn", "*", "*.example", "a1"} {
		if _, err := page.New(open(t, memory(t), cache.Options{}), page.Options{Name: name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestModeString(t *testing.T) {
	for m, want := range map[page.Mode]string{page.Site: "site", page.Standard: "standard", 9: "invalid"} {
		if m.String() != want {
			t.Errorf("%d is %q", m, m)
		}
	}
}
