//go:build unix

package histories_test

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/strata-cache/strata/internal/histories"
)

const (
	keys = 4 // of a history
	// maxPut is the newest version that is ever put into the cache.
	maxPut = 255
)

// database is memory that all processes of a history share: the clock that orders what they do, and the
// database that they cache. What it holds is changed by atomic operations alone.
type database struct {
	clock    atomic.Uint64
	versions [keys]atomic.Uint64
	// floors are the newest versions of acknowledged invalidations. Readers must see them some time.
	floors [keys]atomic.Uint64
	// puts is the set of versions that were put into the cache.
	puts [keys][(maxPut + 1) / 64]atomic.Uint64
	// calm asks the clients to read, and do nothing else.
	calm atomic.Bool
}

// newDatabase makes the file that the database lies in.
func newDatabase(dir string) (path string, err error) {
	path = filepath.Join(dir, "database")
	return path, os.WriteFile(path, make([]byte, unsafe.Sizeof(database{})), 0o600)
}

func openDatabase(path string) (*database, func(), error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	mem, err := syscall.Mmap(int(f.Fd()), 0, int(unsafe.Sizeof(database{})), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return (*database)(unsafe.Pointer(unsafe.SliceData(mem))), func() { _ = syscall.Munmap(mem) }, nil
}

// reset begins a new history. Nobody uses the database meanwhile.
func (d *database) reset(version uint64) {
	d.calm.Store(false)
	for k := range keys {
		d.versions[k].Store(version)
		d.floors[k].Store(0)
		for i := range d.puts[k] {
			d.puts[k][i].Store(0)
		}
	}
}

// stamp is now; origin is about the same in all processes.
func (d *database) stamp(origin time.Time) histories.Stamp {
	return histories.Stamp{Seq: d.clock.Add(1), Time: time.Since(origin)}
}

func (d *database) raise(key int, floor uint64) {
	for {
		old := d.floors[key].Load()
		if old >= floor || d.floors[key].CompareAndSwap(old, floor) {
			return
		}
	}
}

func (d *database) willPut(key int, version uint64) { d.puts[key][version/64].Or(1 << (version % 64)) }

func (d *database) wasPut(key int, version uint64) bool {
	return version <= maxPut && d.puts[key][version/64].Load()&(1<<(version%64)) != 0
}
