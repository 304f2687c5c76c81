package event_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/strata-cache/strata/core/event"
)

// names are labels of metrics and fields of logs: they must not change. Each is tied to its constant, since
// one that is added in the middle without its name would shift all that follow.
var names = []struct {
	typ       string
	of        func(uint8) fmt.Stringer
	constants []fmt.Stringer
	want      []string
}{
	{
		"Layer", func(i uint8) fmt.Stringer { return event.Layer(i) },
		[]fmt.Stringer{event.LayerObject, event.LayerFragment, event.LayerPage},
		[]string{"object", "fragment", "page"},
	},
	{
		"Op", func(i uint8) fmt.Stringer { return event.Op(i) },
		[]fmt.Stringer{
			event.OpGet, event.OpSet, event.OpAdd, event.OpDelete, event.OpTouch, event.OpIncr, event.OpClear,
			event.OpScan, event.OpInvalidate, event.OpUpdate, event.OpLock,
		},
		[]string{"get", "set", "add", "delete", "touch", "incr", "clear", "scan", "invalidate", "update", "lock"},
	},
	{
		"Outcome", func(i uint8) fmt.Stringer { return event.Outcome(i) },
		[]fmt.Stringer{
			event.OutcomeOK, event.OutcomeHit, event.OutcomeNegative, event.OutcomeStale, event.OutcomeMiss,
			event.OutcomeRejected, event.OutcomeError, event.OutcomeFiltered, event.OutcomeFallback,
		},
		[]string{"ok", "hit", "negative", "stale", "miss", "rejected", "error", "filtered", "fallback"},
	},
	{
		"LoadResult", func(i uint8) fmt.Stringer { return event.LoadResult(i) },
		[]fmt.Stringer{
			event.LoadOK, event.LoadNotFound, event.LoadError, event.LoadPanic, event.LoadTimeout,
			event.LoadCanceled, event.LoadOverload,
		},
		[]string{"ok", "not-found", "error", "panic", "timeout", "canceled", "overload"},
	},
	{
		"RefreshState", func(i uint8) fmt.Stringer { return event.RefreshState(i) },
		[]fmt.Stringer{
			event.RefreshQueued, event.RefreshDuplicate, event.RefreshDropped, event.RefreshDone,
			event.RefreshFailed, event.RefreshSkipped,
		},
		[]string{"queued", "duplicate", "dropped", "done", "failed", "skipped"},
	},
	{
		"LogState", func(i uint8) fmt.Stringer { return event.LogState(i) },
		[]fmt.Stringer{event.LogSynced, event.LogBlind, event.LogTrimmed, event.LogRebased, event.LogFlushed},
		[]string{"synced", "blind", "trimmed", "rebased", "flushed"},
	},
	{
		"FilterState", func(i uint8) fmt.Stringer { return event.FilterState(i) },
		[]fmt.Stringer{
			event.FilterReady, event.FilterOpen, event.FilterBuilding, event.FilterSaturated, event.FilterChecked,
		},
		[]string{"ready", "open", "building", "saturated", "checked"},
	},
}

func TestNames(t *testing.T) {
	for _, tt := range names {
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
			for i, c := range tt.constants {
				if want := tt.of(uint8(i)); c != want {
					t.Errorf("constant %d is %v, want %v", i, c, want)
				}
			}
		})
	}
}

// TestEveryConstantHasAName counts the constants in the source: one that is added without a name fails here.
func TestEveryConstantHasAName(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]int{}
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		typ := ""
		for _, spec := range group.Specs {
			c := spec.(*ast.ValueSpec)
			if of, ok := c.Type.(*ast.Ident); ok {
				typ = of.Name
			} else if len(c.Values) > 0 {
				typ = ""
			}
			declared[typ] += len(c.Names)
		}
	}
	for _, tt := range names {
		if n := declared[tt.typ]; n != len(tt.want) || n != len(tt.constants) {
			t.Errorf("%s has %d constants, but %d names and %d in this test", tt.typ, n, len(tt.want), len(tt.constants))
		}
		delete(declared, tt.typ)
	}
	delete(declared, "") // TimedHits
	if len(declared) > 0 {
		t.Errorf("constants that no test knows: %v", declared)
	}
}
