package event_test

import (
	"fmt"
	"testing"

	"github.com/strata-cache/strata/core/event"
)

// names are labels of metrics and fields of logs: they must not change.
func TestNames(t *testing.T) {
	tests := []struct {
		typ  string
		of   func(uint8) fmt.Stringer
		want []string
	}{
		{"Layer", func(i uint8) fmt.Stringer { return event.Layer(i) }, []string{"object", "fragment", "page"}},
		{"Op", func(i uint8) fmt.Stringer { return event.Op(i) },
			[]string{"get", "set", "add", "delete", "touch", "incr", "clear", "scan"}},
		{"Outcome", func(i uint8) fmt.Stringer { return event.Outcome(i) },
			[]string{"ok", "hit", "negative", "stale", "miss", "rejected", "error"}},
		{"LoadResult", func(i uint8) fmt.Stringer { return event.LoadResult(i) },
			[]string{"ok", "not-found", "error", "panic", "timeout", "canceled"}},
	}
	for _, tt := range tests {
		t.Run(tt.typ, func(t *testing.T) {
			for i := range 256 {
				want := "unknown"
				if i < len(tt.want) {
					want = tt.want[i]
				}
				if got := tt.of(uint8(i)).String(); got != want {
					t.Errorf("%s(%d) is %q, want %q", tt.typ, i, got, want)
				}
			}
		})
	}
}

// TestConstants ties the constants to their names: one that is added in the middle without its name
// would shift all that follow.
func TestConstants(t *testing.T) {
	tests := []struct {
		got  fmt.Stringer
		want string
	}{
		{event.LayerObject, "object"}, {event.LayerFragment, "fragment"}, {event.LayerPage, "page"},

		{event.OpGet, "get"}, {event.OpSet, "set"}, {event.OpAdd, "add"}, {event.OpDelete, "delete"},
		{event.OpTouch, "touch"}, {event.OpIncr, "incr"}, {event.OpClear, "clear"}, {event.OpScan, "scan"},

		{event.OutcomeOK, "ok"}, {event.OutcomeHit, "hit"}, {event.OutcomeNegative, "negative"},
		{event.OutcomeStale, "stale"}, {event.OutcomeMiss, "miss"}, {event.OutcomeRejected, "rejected"},
		{event.OutcomeError, "error"},

		{event.LoadOK, "ok"}, {event.LoadNotFound, "not-found"}, {event.LoadError, "error"},
		{event.LoadPanic, "panic"}, {event.LoadTimeout, "timeout"}, {event.LoadCanceled, "canceled"},
	}
	for _, tt := range tests {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("%T is called %q, want %q", tt.got, got, tt.want)
		}
	}
}
