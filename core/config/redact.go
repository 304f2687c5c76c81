package config

import (
	"net/url"
	"strings"
)

// redacted is an error whose text holds no secret of a URL. What it wraps may, and is there for errors.Is
// and errors.As only.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }

// redact returns err without the secrets of u in its text.
func redact(u *url.URL, err error) error {
	text := err.Error()
	for _, secret := range secrets(u) {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	if text == err.Error() {
		return err
	}
	return &redacted{text, err}
}

// secrets returns the parts of u that nobody else should see: the password, or the user name where there is
// no password, since tokens are written so; and parameters that are named like a secret.
func secrets(u *url.URL) (found []string) {
	add := func(s string) {
		if s != "" {
			found = append(found, s)
		}
	}
	if u.User != nil {
		if password, ok := u.User.Password(); ok {
			add(password)
			// As it was written, where that is another way of escaping.
			if _, raw, ok := strings.Cut(u.User.String(), ":"); ok {
				add(raw)
			}
		} else {
			add(u.User.Username())
			add(u.User.String())
		}
	}
	for name, values := range u.Query() {
		for _, word := range []string{"pass", "pwd", "secret", "token", "key"} {
			if strings.Contains(strings.ToLower(name), word) {
				for _, v := range values {
					add(v)
				}
				break
			}
		}
	}
	return found
}
