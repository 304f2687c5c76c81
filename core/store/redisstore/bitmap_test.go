package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

const bitmapBytes = 3000

func (s space) openBitmap(name string) store.Bitmap {
	s.t.Helper()
	set, err := s.LoadBitmaps(s.ctx, name)
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := s.OpenBitmap(s.ctx, name, store.Bitmap{Bits: bitmapBytes * 8, Hashes: 2, Capacity: 100, Run: set.Run})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// sealBitmap leaves a sealed bitmap with the given bits.
func (s space) sealBitmap(name string, bits ...uint64) store.Bitmap {
	s.t.Helper()
	m := s.openBitmap(name)
	if len(bits) > 0 {
		if _, err := s.SetBits(s.ctx, name, []store.BitmapWrite{{Bitmap: m, Set: bits}}); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.SealBitmap(s.ctx, name, m, 0); err != nil {
		s.t.Fatal(err)
	}
	return s.bitmaps(name)[0]
}

func (s space) bitmaps(name string) []store.Bitmap {
	s.t.Helper()
	set, err := s.LoadBitmaps(s.ctx, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return set.Bitmaps
}

// place is where the bitmap lies on the server.
func (s space) place(name string, m store.Bitmap) string {
	return fmt.Sprintf("%s{f:%s}%d", s.prefix, name, m.Token&1)
}

func changed(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrBitmapChanged) || !strings.HasPrefix(err.Error(), "redisstore: ") {
		t.Errorf("%s: %v, want ErrBitmapChanged", what, err)
	}
}

func TestBitmapLife(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	ctx := t.Context()
	if set, err := s.LoadBitmaps(ctx, "f"); err != nil || len(set.Bitmaps) != 0 || set.Run == 0 {
		t.Fatalf("of nothing: %+v, %v", set, err)
	}
	open := s.openBitmap("f")
	if again := s.openBitmap("f"); again != open {
		t.Errorf("opened twice: %+v and %+v", open, again)
	}
	_, _, err := s.TestBits(ctx, "f", open, []uint64{1, 2})
	changed(t, "TestBits of an open bitmap", err)

	first := []byte{0x80, 0, 1}
	if _, err := s.MergeBitmap(ctx, "f", open, 0, first); err != nil {
		t.Fatal(err)
	}
	seqs, err := s.SetBits(ctx, "f", []store.BitmapWrite{{Bitmap: open, Set: []uint64{1, 8 * 1500, 1, 8 * 1500, 0, 23}}})
	if err != nil || len(seqs) != 1 || seqs[0] != 2 {
		t.Fatalf("SetBits: %v, %v", seqs, err)
	}
	if m := s.bitmaps("f")[0]; m.Count != 1 || m.Seq != 2 || m.Sealed {
		t.Errorf("one new key of three in the second step: %+v", m)
	}
	data := bytes.Repeat([]byte{0x0f}, bitmapBytes)
	if seq, err := s.MergeBitmap(ctx, "f", open, 0, data); err != nil || seq != 3 {
		t.Fatalf("MergeBitmap: %v, %v", seq, err)
	}
	want := slices.Clone(data)
	want[0], want[2], want[1500] = 0xcf, 0x0f, 0x8f
	if got, err := s.ReadBitmap(ctx, "f", open, 0, store.BitmapChunk); err != nil || !bytes.Equal(got, want) {
		t.Errorf("ReadBitmap: %v, %x…", err, got[:4])
	}
	if err := s.SealBitmap(ctx, "f", open, 41); err != nil {
		t.Fatal(err)
	}
	sealed := s.bitmaps("f")[0]
	if !sealed.Sealed || sealed.Count != 42 || sealed.Token != open.Token {
		t.Errorf("sealed: %+v", sealed)
	}
	for _, tt := range []struct {
		bits []uint64
		want bool
	}{{[]uint64{0, 1}, true}, {[]uint64{0, 2}, false}, {[]uint64{bitmapBytes*8 - 1}, true}} {
		if all, seq, err := s.TestBits(ctx, "f", sealed, tt.bits); all != tt.want || seq != sealed.Seq || err != nil {
			t.Errorf("TestBits(%v) = %v, %v, %v", tt.bits, all, seq, err)
		}
	}
	_, err = s.MergeBitmap(ctx, "f", sealed, 0, first)
	changed(t, "MergeBitmap of a sealed bitmap", err)
	changed(t, "sealing twice", s.SealBitmap(ctx, "f", sealed, 0))

	next := s.openBitmap("f")
	if next.Token == sealed.Token || len(s.bitmaps("f")) != 2 {
		t.Fatalf("the next bitmap: %+v beside %+v", next, sealed)
	}
	_, err = s.SetBits(ctx, "f", []store.BitmapWrite{{Bitmap: sealed, Set: []uint64{2, 3}}})
	changed(t, "SetBits that leaves one out", err)
	both := []store.BitmapWrite{{Bitmap: next, Set: []uint64{2, 3}}, {Bitmap: sealed, Set: []uint64{16, 17}}}
	if seqs, err := s.SetBits(ctx, "f", both); err != nil || !slices.Equal(seqs, []uint64{1, sealed.Seq + 1}) {
		t.Errorf("SetBits in both: %v, %v", seqs, err)
	}
	if err := s.SealBitmap(ctx, "f", next, 0); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.TestBits(ctx, "f", sealed, []uint64{0, 1})
	changed(t, "TestBits of the one before", err)
	if all := s.bitmaps("f"); len(all) != 1 || all[0].Token != next.Token {
		t.Errorf("after the flip: %+v", all)
	}
	if err := s.DropBitmap(ctx, "f", sealed); err != nil || len(s.bitmaps("f")) != 1 {
		t.Errorf("dropping what is not there: %v", err)
	}
	if err := s.DropBitmap(ctx, "f", next); err != nil || len(s.bitmaps("f")) != 0 {
		t.Errorf("dropping: %v", err)
	}
}

// TestBitmapDamaged: of a bitmap that is not whole and right nothing is read, and nothing is set in it.
func TestBitmapDamaged(t *testing.T) {
	for name, damage := range map[string]func(s space, place string) error{
		"deleted": func(s space, p string) error { return s.raw.Del(s.ctx, p).Err() },
		"cut": func(s space, p string) error {
			return s.raw.Set(s.ctx, p, s.raw.GetRange(s.ctx, p, 0, 500).Val(), 0).Err()
		},
		"header alone": func(s space, p string) error {
			return s.raw.Set(s.ctx, p, s.raw.GetRange(s.ctx, p, 0, 63).Val(), 0).Err()
		},
		"longer":   func(s space, p string) error { return s.raw.Append(s.ctx, p, "\xa5").Err() },
		"foreign":  func(s space, p string) error { return s.raw.Set(s.ctx, p, strings.Repeat("x", 5000), 0).Err() },
		"all ones": func(s space, p string) error { return s.raw.Set(s.ctx, p, strings.Repeat("\xff", 3065), 0).Err() },
		"a list": func(s space, p string) error {
			s.raw.Del(s.ctx, p)
			return s.raw.LPush(s.ctx, p, "x").Err()
		},
		"no magic":    func(s space, p string) error { return s.raw.SetRange(s.ctx, p, 0, "X").Err() },
		"version":     func(s space, p string) error { return s.raw.SetRange(s.ctx, p, 3, "\x02").Err() },
		"no end":      func(s space, p string) error { return s.raw.SetRange(s.ctx, p, 64+bitmapBytes, "\x00").Err() },
		"other token": func(s space, p string) error { return s.raw.SetRange(s.ctx, p, 9, "other").Err() },
		"re-created by a late bit": func(s space, p string) error {
			s.raw.Del(s.ctx, p)
			return s.raw.SetBit(s.ctx, p, 64*8+5, 1).Err()
		},
		"moved to the other place": func(s space, p string) error {
			other := p[:len(p)-1] + string('0'+'1'-p[len(p)-1])
			return s.raw.Rename(s.ctx, p, other).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t, redisstore.Options{})
			ctx := t.Context()
			m := s.sealBitmap("f", 1, 2)
			if err := damage(s, s.place("f", m)); err != nil {
				t.Fatal(err)
			}
			all, _, err := s.TestBits(ctx, "f", m, []uint64{1, 2})
			if name != "longer" { // nothing is missing there
				changed(t, "TestBits", err)
			}
			if all && name != "longer" {
				t.Error("bits of a damaged bitmap")
			}
			_, err = s.SetBits(ctx, "f", []store.BitmapWrite{{Bitmap: m, Set: []uint64{3, 4}}})
			changed(t, "SetBits", err)
			_, err = s.ReadBitmap(ctx, "f", m, 0, 10)
			changed(t, "ReadBitmap", err)
			for _, there := range s.bitmaps("f") {
				if there.Token == m.Token {
					t.Errorf("LoadBitmaps: %+v", there)
				}
			}
			n := s.openBitmap("f")
			if n.Token == m.Token {
				t.Error("the damaged bitmap was opened again")
			}
			_, err = s.MergeBitmap(ctx, "f", m, 0, []byte{1})
			changed(t, "MergeBitmap", err)
			changed(t, "SealBitmap", s.SealBitmap(ctx, "f", m, 0))
			if all := s.bitmaps("f"); !slices.Contains(all, n) {
				t.Errorf("%+v is not among %+v", n, all)
			}
		})
	}
}

// TestBitmapRewound: whoever has seen more of a bitmap than it holds removes it.
func TestBitmapRewound(t *testing.T) {
	for name, op := range map[string]func(s space, m store.Bitmap) error{
		"TestBits": func(s space, m store.Bitmap) error {
			_, _, err := s.TestBits(s.ctx, "f", m, []uint64{1, 2})
			return err
		},
		"SetBits": func(s space, m store.Bitmap) error {
			_, err := s.SetBits(s.ctx, "f", []store.BitmapWrite{{Bitmap: m, Set: []uint64{5, 6}}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t, redisstore.Options{})
			m := s.sealBitmap("f", 1, 2)
			copied, err := s.raw.Dump(s.ctx, s.place("f", m)).Result()
			if err != nil {
				t.Fatal(err)
			}
			seqs, err := s.SetBits(s.ctx, "f", []store.BitmapWrite{{Bitmap: m, Set: []uint64{3, 4}}})
			if err != nil {
				t.Fatal(err)
			}
			m.Seq = seqs[0]
			if err := s.raw.RestoreReplace(s.ctx, s.place("f", m), 0, copied).Err(); err != nil {
				t.Fatal(err)
			}
			changed(t, name, op(s, m))
			if all := s.bitmaps("f"); len(all) != 0 {
				t.Errorf("still there: %+v", all)
			}
		})
	}
}

func TestBitmapSizeDecides(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	ctx := t.Context()
	m := s.openBitmap("f")
	for name, change := range map[string]func(m *store.Bitmap){
		"bits":     func(m *store.Bitmap) { m.Bits *= 2 },
		"hashes":   func(m *store.Bitmap) { m.Hashes++ },
		"capacity": func(m *store.Bitmap) { m.Capacity++ },
	} {
		want := m
		change(&want)
		got, err := s.OpenBitmap(ctx, "f", want)
		if err != nil || got.Token == m.Token || got.Bits != want.Bits || got.Hashes != want.Hashes || got.Capacity != want.Capacity {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		m = got
	}
	for name, want := range map[string]store.Bitmap{
		"none":        {Hashes: 1},
		"half a byte": {Bits: 12, Hashes: 1},
		"no hashes":   {Bits: 8},
		"too many":    {Bits: store.MaxBitmapBits + 8, Hashes: 1},
	} {
		if _, err := s.OpenBitmap(ctx, "g", want); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := s.SetBits(ctx, "f", []store.BitmapWrite{{Bitmap: m, Set: []uint64{m.Bits, 0, 0}}}); err == nil || errors.Is(err, store.ErrBitmapChanged) {
		t.Errorf("a bit behind the end: %v", err)
	}
	if _, err := s.MergeBitmap(ctx, "f", m, m.Bits/8, []byte{1}); err == nil || errors.Is(err, store.ErrBitmapChanged) {
		t.Errorf("a byte behind the end: %v", err)
	}
}

func TestHoldBitmaps(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	for i, step := range []struct {
		owner uint64
		ttl   time.Duration
		want  bool
	}{
		{1, time.Hour, true}, {2, time.Hour, false}, {1, time.Hour, true}, {2, 0, false}, {2, time.Hour, false},
		{1, 0, false}, {2, 20 * time.Millisecond, true},
	} {
		if got, err := s.HoldBitmaps(s.ctx, "f", step.owner, step.ttl); got != step.want || err != nil {
			t.Errorf("step %d: %v, %v", i, got, err)
		}
	}
	until(t, "a hold runs out", func() bool {
		held, err := s.HoldBitmaps(s.ctx, "f", 1, time.Hour)
		return held && err == nil
	})
}

// TestBitmapsStayAside: an entry's namespace does not see the bitmaps in it, and the other way round.
func TestBitmapsStayAside(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	m := s.sealBitmap("a{b}%", 1, 2)
	s.set("f", entry("v"))
	for k, err := range s.Scan(s.ctx, "") {
		if k != "f" || err != nil {
			t.Errorf("Scan: %q, %v", k, err)
		}
	}
	if err := s.Clear(s.ctx, ""); err != nil {
		t.Fatal(err)
	}
	if all, _, err := s.TestBits(s.ctx, "a{b}%", m, []uint64{1, 2}); !all || err != nil {
		t.Errorf("after Clear: %v, %v", all, err)
	}
}

// TestBitmapsOverOthersClients: over a client that might ask replicas, bits are tested by a script.
func TestBitmapsOverOthersClients(t *testing.T) {
	srv := shared.Redis(t)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": srv.Addr}, ContextTimeoutEnabled: true})
	defer ring.Close()
	p := prefix(t, srv.Addr)
	other, err := redisstore.New(ring, redisstore.Options{Prefix: p, OpTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	s := newSpace(t, redisstore.Options{})
	s.Store, s.prefix = other, p
	m := s.sealBitmap("f", 1, 2)
	for _, want := range []bool{true, false} {
		bits := []uint64{1, 2}
		if !want {
			bits[0] = 0
		}
		if all, _, err := s.TestBits(s.ctx, "f", m, bits); all != want || err != nil {
			t.Errorf("TestBits: %v, %v", all, err)
		}
	}
	if err := s.raw.Set(s.ctx, s.place("f", m), "foreign", 0).Err(); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.TestBits(s.ctx, "f", m, []uint64{1, 2})
	changed(t, "TestBits", err)
}

// TestBitmapModel compares random steps with sets of bits.
func TestBitmapModel(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		name := fmt.Sprint("model", n)
		bits := make([]byte, bitmapBytes)
		m := s.openBitmap(name)
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "merge") {
				at := rapid.IntRange(0, bitmapBytes-1).Draw(rt, "at")
				data := rapid.SliceOfN(rapid.Byte(), 1, min(1200, bitmapBytes-at)).Draw(rt, "data")
				if _, err := s.MergeBitmap(s.ctx, name, m, uint64(at), data); err != nil {
					rt.Fatal(err)
				}
				for i, b := range data {
					bits[at+i] |= b
				}
				continue
			}
			set := rapid.SliceOfN(rapid.Uint64Range(0, bitmapBytes*8-1), 2, 2).Draw(rt, "set")
			if _, err := s.SetBits(s.ctx, name, []store.BitmapWrite{{Bitmap: m, Set: set}}); err != nil {
				rt.Fatal(err)
			}
			for _, b := range set {
				bits[b/8] |= 0x80 >> (b % 8)
			}
		}
		if got, err := s.ReadBitmap(s.ctx, name, m, 0, bitmapBytes); err != nil || !bytes.Equal(got, bits) {
			rt.Fatalf("%v, bits differ", err)
		}
	})
}
