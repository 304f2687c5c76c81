package stats

import (
	"sync"
	"testing"
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

func TestShardCount(t *testing.T) {
	if n := shardCount(); n < 2 || n > 32 || n&(n-1) != 0 {
		t.Errorf("%d shards", n)
	}
}
