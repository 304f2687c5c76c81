package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Load reads a JSON file.
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	cfg, err := Parse(data)
	if err != nil {
		return Config{}, fmt.Errorf("%w (in %s)", err, path)
	}
	return cfg, nil
}

// Parse parses JSON. It checks names, fields and their syntax; Open checks what the values mean.
func Parse(data []byte) (Config, error) {
	cfg := Config{Caches: make(map[string]Cache)}
	var errs []error
	err := object(data, func(name string, value json.RawMessage) error {
		if name != "caches" {
			return fmt.Errorf("unknown field %q beside \"caches\"", name)
		}
		return object(value, func(alias string, value json.RawMessage) error {
			if err := checkAlias(alias); err != nil {
				errs = append(errs, &FieldError{Cache: alias, Err: err})
				return nil
			}
			c, err := parseCache(alias, value)
			cfg.Caches[alias] = c
			errs = append(errs, err)
			return nil
		})
	})
	if err != nil {
		err = fmt.Errorf("config: %w", err)
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// UnmarshalJSON is Parse.
func (c *Config) UnmarshalJSON(data []byte) error {
	cfg, err := Parse(data)
	if err == nil {
		*c = cfg
	}
	return err
}

func parseCache(alias string, data json.RawMessage) (c Cache, err error) {
	var errs []error
	err = object(data, func(name string, value json.RawMessage) error {
		f, ok := fieldByName(name)
		if !ok {
			errs = append(errs, &FieldError{Cache: alias, Field: name, Err: errors.New("unknown field")})
			return nil
		}
		text, err := string(value), error(nil)
		if name != "tiers" || value[0] != '[' {
			text, err = scalar(value)
		}
		if err == nil {
			err = f.set(&c, text)
		}
		if err != nil {
			errs = append(errs, &FieldError{Cache: alias, Field: name, Err: err})
		}
		return nil
	})
	if err != nil {
		errs = append(errs, &FieldError{Cache: alias, Err: err})
	}
	return c, errors.Join(errs...)
}

// scalar returns a JSON string, number or boolean as text.
func scalar(value json.RawMessage) (string, error) {
	switch value[0] {
	case '"':
		var s string
		err := json.Unmarshal(value, &s)
		return s, err
	case '{', '[', 'n':
		return "", errors.New("it must be a string, a number, true or false")
	default:
		return string(value), nil
	}
}

// object calls member for each member of the JSON object that data is.
func object(data []byte, member func(name string, value json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return malformed(err, "a JSON object is expected")
	}
	seen := make(map[string]bool)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return malformed(err, "")
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("%q appears twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return malformed(err, "")
		}
		if err := member(name, value); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return malformed(err, "")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON object")
	}
	return nil
}

func malformed(err error, otherwise string) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("malformed JSON: it ends too early")
	case err != nil:
		return fmt.Errorf("malformed JSON: %w", err)
	default:
		return errors.New(otherwise)
	}
}
