package store_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
)

func TestTimes(t *testing.T) {
	tests := []struct {
		name        string
		times       store.Times
		now         int64
		fresh, gone bool
	}{
		{"zero value", store.Times{}, 1 << 60, true, false},
		{"1 ms before both", store.Times{Fresh: 100, Gone: 200}, 99, true, false},
		{"at Fresh", store.Times{Fresh: 100, Gone: 200}, 100, false, false},
		{"1 ms before Gone", store.Times{Fresh: 100, Gone: 200}, 199, false, false},
		{"at Gone", store.Times{Fresh: 100, Gone: 200}, 200, false, true},
		{"after Gone", store.Times{Fresh: 100, Gone: 200}, 201, false, true},
		{"both at once", store.Times{Fresh: 100, Gone: 100}, 100, false, true},
		{"stale for ever", store.Times{Fresh: 100}, math.MaxInt64, false, false},
		{"fresh for ever", store.Times{Gone: math.MaxInt64}, math.MaxInt64 - 1, true, false},
		{"before 1970", store.Times{Fresh: -2, Gone: -1}, 0, false, true},
		{"Created and Refresh say nothing", store.Times{Created: 1, Refresh: 2}, 100, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.times.IsFresh(tt.now); got != tt.fresh {
				t.Errorf("IsFresh = %v, want %v", got, tt.fresh)
			}
			if got := tt.times.IsGone(tt.now); got != tt.gone {
				t.Errorf("IsGone = %v, want %v", got, tt.gone)
			}
		})
	}
}

func TestPositionsAreOrdered(t *testing.T) {
	ordered := []store.Position{
		{}, {Seq: 1}, {Seq: math.MaxUint64}, {Time: 1}, {Time: 1, Seq: 1}, {Time: 1, Seq: 2},
		{Time: 2}, {Time: 1 << 63}, {Time: math.MaxUint64}, {Time: math.MaxUint64, Seq: math.MaxUint64},
	}
	for i, p := range ordered {
		for j, q := range ordered {
			want := 0
			if i != j {
				want = max(-1, min(1, i-j))
			}
			if got := p.Compare(q); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", p, q, got, want)
			}
		}
	}
}

func TestTheFirstMemoStays(t *testing.T) {
	var e store.Entry
	if e.Memo() != nil {
		t.Errorf("the memo of a new entry is %v", e.Memo())
	}
	e.SetMemo("first")
	e.SetMemo("second")
	third := any("third")
	e.SetMemoAt(&third)
	if e.Memo() != "first" {
		t.Errorf("the memo is %v, want the first one", e.Memo())
	}
	var at store.Entry
	at.SetMemoAt(&third)
	at.SetMemo("second")
	if at.Memo() != "third" {
		t.Errorf("the memo is %v, want what SetMemoAt has left", at.Memo())
	}
	// A stored nil has a decoded form as well: a typed nil.
	var of store.Entry
	of.SetMemo((*int)(nil))
	if of.Memo() == nil {
		t.Error("a typed nil is no memo")
	}
}

func TestConcurrentMemosAreOne(t *testing.T) {
	for range 50 {
		var e store.Entry
		seen := make([]any, 4)
		var wg sync.WaitGroup
		for i := range seen {
			wg.Go(func() {
				e.SetMemo(i)
				seen[i] = e.Memo()
			})
		}
		wg.Wait()
		if len(slices.CompactFunc(seen, func(a, b any) bool { return a == b })) != 1 {
			t.Fatalf("readers see %v", seen)
		}
	}
}

func TestMemoDoesNotAllocate(t *testing.T) {
	var e store.Entry
	e.SetMemo([]int{1})
	if n := testing.AllocsPerRun(100, func() { _ = e.Memo().([]int) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// fill sets everything in v to something that is not zero, and different from its neighbours.
func fill(t *testing.T, v reflect.Value, n int) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n+i)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n+1)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		v.SetUint(uint64(n))
	default:
		t.Fatalf("fill does not know %v", v.Type())
	}
}

// TestWithTimesCopiesEverythingButTheMemo fails for a field that is added to Entry and forgotten there.
func TestWithTimesCopiesEverythingButTheMemo(t *testing.T) {
	var e store.Entry
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		switch field := v.Type().Field(i); {
		case field.IsExported():
			fill(t, v.Field(i), 1+10*i)
		case field.Name != "memo" && field.Name != "checked":
			t.Errorf("the test does not know what WithTimes should do with %s", field.Name)
		}
	}
	e.SetMemo("decoded")
	before := e.Times
	want := store.Times{Created: 1001, Refresh: 1002, Fresh: 1003, Gone: 1004}
	got := e.WithTimes(want)

	c := reflect.ValueOf(got).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "Times" {
			continue
		}
		if v.Field(i).IsZero() {
			t.Errorf("%s was not filled", field.Name)
		}
		if !reflect.DeepEqual(c.Field(i).Interface(), v.Field(i).Interface()) {
			t.Errorf("%s is %v, want %v", field.Name, c.Field(i), v.Field(i))
		}
	}
	if got.Times != want {
		t.Errorf("Times is %+v, want %+v", got.Times, want)
	}
	if got.Memo() != nil {
		t.Errorf("the memo was copied: %v", got.Memo())
	}
	if &got.Value[0] != &e.Value[0] {
		t.Error("the value was copied")
	}
	if e.Times != before || e.Memo() != "decoded" {
		t.Error("the original was changed")
	}
}

func TestPriorities(t *testing.T) {
	tests := []struct {
		p     store.Priority
		name  string
		ttl   time.Duration
		valid bool
	}{
		{store.PriorityDefault, "normal", 0, true},
		{store.PriorityLow, "low", 5 * time.Minute, true},
		{store.PriorityNormal, "normal", 10 * time.Minute, true},
		{store.PriorityImportant, "important", 30 * time.Minute, true},
		{store.PriorityCritical, "critical", time.Hour, true},
		{store.PriorityCritical + 1, "invalid", 0, false},
		{255, "invalid", 0, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(uint8(tt.p)), func(t *testing.T) {
			if tt.p.String() != tt.name || tt.p.TTL() != tt.ttl || tt.p.Valid() != tt.valid {
				t.Errorf("%q, TTL %v, valid %v, want %q, %v, %v",
					tt.p, tt.p.TTL(), tt.p.Valid(), tt.name, tt.ttl, tt.valid)
			}
		})
	}
	var zero store.Entry
	if zero.Priority != store.PriorityDefault {
		t.Errorf("the zero value of an entry has priority %v", zero.Priority)
	}
}

func TestWeight(t *testing.T) {
	empty := (&store.Entry{}).Weight("")
	if empty <= 0 {
		t.Fatalf("an empty entry weighs %d", empty)
	}
	tests := []struct {
		name string
		key  string
		e    *store.Entry
		want int // beyond an empty entry
	}{
		{"key", "12345", &store.Entry{}, 5},
		{"value", "", &store.Entry{Value: make([]byte, 1000)}, 1000},
		{"spare capacity does not count", "", &store.Entry{Value: make([]byte, 10, 1000)}, 10},
		{"memo, before it is made", "", &store.Entry{MemoSize: 70}, 70},
		{"negative memo", "", &store.Entry{MemoSize: -70}, 0},
		{"tags", "", &store.Entry{Tags: []string{"abc", ""}}, 3 + 2*16},
		{"deps", "", &store.Entry{Deps: []string{"abcd"}}, 4 + 16},
		{"all", "k", &store.Entry{Value: []byte("vv"), MemoSize: 3, Tags: []string{"t"}, Deps: []string{"d"}}, 1 + 2 + 3 + 17 + 17},
		{"instants and flags do not", "", &store.Entry{Times: store.Times{Gone: 1}, Flags: store.FlagNil, Schema: 1}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.e.Weight(tt.key) - empty; got != tt.want {
				t.Errorf("weighs %d more than an empty one, want %d", got, tt.want)
			}
			before := tt.e.Weight(tt.key)
			tt.e.SetMemo(make([]byte, 5000))
			if tt.e.Weight(tt.key) != before {
				t.Error("the memo has changed the weight")
			}
		})
	}
	for _, memo := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt / 2} {
		if w := (&store.Entry{MemoSize: memo, Value: make([]byte, 100)}).Weight("k"); w < math.MaxInt/4 {
			t.Errorf("a memo of %d bytes weighs %d", memo, w)
		}
	}
}
