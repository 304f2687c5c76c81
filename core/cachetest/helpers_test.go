package cachetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-cache/strata/core/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entry is one that lives for an hour from now on.
func entry(value string, now time.Time) *store.Entry {
	end := now.Add(time.Hour).UnixMilli()
	return &store.Entry{Value: []byte(value), Times: store.Times{Created: now.UnixMilli(), Fresh: end, Gone: end}}
}

// verdicts is a test that only notes how it fails.
type verdicts struct {
	testing.TB
	failures []string
}

func (v *verdicts) Helper() {}

func (v *verdicts) Context() context.Context { return context.Background() }

func (v *verdicts) Errorf(format string, args ...any) {
	v.failures = append(v.failures, fmt.Sprintf(format, args...))
}

func (v *verdicts) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	panic(v)
}
