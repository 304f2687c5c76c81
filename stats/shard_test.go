package stats

import (
	"sync"
	"testing"
	"unsafe"
)

func TestGoroutinesAreSpreadOverShards(t *testing.T) {
	const n = 64
	var (
		mu   sync.Mutex
		seen = map[uintptr]int{}
		wg   sync.WaitGroup
	)
	all := make(chan struct{}) // none ends before the last has begun: their stacks differ
	wg.Add(n)
	for range n {
		go func() {
			mu.Lock()
			seen[shard()%8]++
			mu.Unlock()
			wg.Done()
			<-all
		}()
	}
	wg.Wait()
	close(all)
	if len(seen) < 6 {
		t.Errorf("%d goroutines use only %d of 8 shards: %v", n, len(seen), seen)
	}
}

// TestLookupCellsFillTwoCacheLines: one cell more would take a third, and the shards of two CPUs would meet
// in one.
func TestLookupCellsFillTwoCacheLines(t *testing.T) {
	if size := unsafe.Sizeof(lookupCells{}); size != 128 {
		t.Errorf("%d bytes", size)
	}
}

func TestShardCount(t *testing.T) {
	if n := shardCount(); n < 2 || n > 32 || n&(n-1) != 0 {
		t.Errorf("%d shards", n)
	}
}
