package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/cache"
)

// off is how a limit or a feature is turned off in text.
const off = "off"

// ParseDuration parses what time.ParseDuration does, "forever" (cache.Forever) and "off" (-1). A zero
// without a unit is 0; any other number needs one.
func ParseDuration(text string) (time.Duration, error) {
	switch text {
	case "forever":
		return cache.Forever, nil
	case off:
		return -1, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		if _, e := strconv.ParseFloat(text, 64); e == nil {
			return 0, fmt.Errorf("%q is a duration without a unit: write \"%ss\" for seconds", text, text)
		}
		return 0, fmt.Errorf(`%q is not a duration such as "90s" or "1h30m", nor "forever" or "off"`, text)
	}
	return d, nil
}

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// ParseSize parses a number of bytes such as "1048576", "64MiB" or "1.5GB"; "off" is -1. Units are
// powers of 1024 with an i and of 1000 without.
func ParseSize(text string) (int64, error) {
	if text == off {
		return -1, nil
	}
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || strings.ContainsAny(number, "xXpPeE_+-nN") {
			break
		}
		if n *= u.bytes; n > math.MaxInt64/2 {
			return 0, fmt.Errorf("size %q is too large", text)
		}
		if n != math.Trunc(n) {
			return 0, fmt.Errorf("size %q is not a whole number of bytes", text)
		}
		return int64(n), nil
	}
	return 0, fmt.Errorf(`%q is not a size such as "64MiB" or "1048576"`, text)
}
