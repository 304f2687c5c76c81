package filter

import (
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/strata-cache/strata/internal/testserver"
)

// shared is the server of the tests that do not break it.
var shared testserver.Lazy

func TestMain(m *testing.M) {
	logging.Disable() // the client's, of the servers that are killed
	code := m.Run()
	shared.Stop()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
