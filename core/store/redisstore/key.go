package redisstore

import "strings"

// special are the bytes of a key that are escaped: the braces, since they would form a hash tag, and the
// escape itself.
const special = "%{}"

// escape returns key as it stands on the server behind the prefix. It is injective, and the form of a
// prefix of a key is a prefix of the key's form.
func escape(key string) string {
	i := strings.IndexAny(key, special)
	if i < 0 {
		return key
	}
	b := make([]byte, i, len(key)+16)
	copy(b, key)
	for ; i < len(key); i++ {
		switch c := key[i]; c {
		case '%':
			b = append(b, "%25"...)
		case '{':
			b = append(b, "%7B"...)
		case '}':
			b = append(b, "%7D"...)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// unescape returns the key whose form is s; ok is false where s is no key's form, and so not ours.
func unescape(s string) (key string, ok bool) {
	if s == "" || strings.ContainsAny(s, "{}") {
		return "", false
	}
	if !strings.Contains(s, "%") {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		plain, rest, found := strings.Cut(s, "%")
		b.WriteString(plain)
		if !found {
			return b.String(), true
		}
		if len(rest) < 2 {
			return "", false
		}
		switch rest[:2] {
		case "25":
			b.WriteByte('%')
		case "7B":
			b.WriteByte('{')
		case "7D":
			b.WriteByte('}')
		default:
			return "", false
		}
		s = rest[2:]
	}
}

// globEscape makes a SCAN pattern of s that matches only s.
func globEscape(s string) string {
	if !strings.ContainsAny(s, `*?[]\`) {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		switch s[i] {
		case '*', '?', '[', ']', '\\':
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(b)
}

// name is what key is called on the server.
func (s *Store) name(key string) string { return s.opts.Prefix + escape(key) }

func (s *Store) names(keys []string) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = s.name(k)
	}
	return names
}
