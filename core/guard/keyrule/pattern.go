package keyrule

import (
	"errors"
	"regexp"
)

var errPattern = errors.New("it does not match the pattern")

// Pattern returns a Schema that lets through the keys which the regular expression matches as a whole. It
// returns an error where expr is none. The error for a key does not hold the key.
func Pattern(expr string) (func(key string) error, error) {
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, errors.Join(errors.New("keyrule: malformed pattern"), err)
	}
	return func(key string) error {
		if !re.MatchString(key) {
			return errPattern
		}
		return nil
	}, nil
}
