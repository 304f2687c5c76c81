package mirror

import "strings"

// Area returns the part of a final key that names its kind, and IsArea whether a Dep is one: it then stands
// for every key of the kind. A final key is prefix, version, name and the rest, with a colon behind each of
// the first three; a colon in the prefix is escaped.
func Area(key string) string { return upTo(key, 3) }

// Namespace returns the part of a final key that names its cache and version. As a Dep it stands for every
// key of them.
func Namespace(key string) string { return upTo(key, 2) }

func upTo(key string, colons int) string {
	at := 0
	for range colons {
		i := strings.IndexByte(key[at:], ':')
		if i < 0 {
			return ""
		}
		at += i + 1
	}
	return key[:at]
}

// IsArea reports whether a Dep is what Area or Namespace returns.
func IsArea(dep string) bool {
	return dep != "" && dep[len(dep)-1] == ':' && (dep == Area(dep) || dep == Namespace(dep))
}
