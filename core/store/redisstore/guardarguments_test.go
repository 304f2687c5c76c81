package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

func leaseArguments(t *testing.T, open topology) {
	s := open(t, redisstore.Options{})
	for name, call := range map[string]func() error{
		"no token": func() error {
			_, err := s.Lease(s.ctx, "k", store.LeaseRequest{TTL: time.Minute})
			return err
		},
		"a long token": func() error {
			_, err := s.Lease(s.ctx, "k", store.LeaseRequest{Token: strings.Repeat("x", 65), TTL: time.Minute})
			return err
		},
		"no time":            func() error { _, err := s.Lease(s.ctx, "k", store.LeaseRequest{Token: "t"}); return err },
		"no token to set":    func() error { _, err := s.SetLeased(s.ctx, "k", "", entry("v")); return err },
		"no time to renew":   func() error { _, err := s.RenewLease(s.ctx, "k", "t", 0); return err },
		"no token to renew":  func() error { _, err := s.RenewLease(s.ctx, "k", "", time.Second); return err },
		"no result":          func() error { return s.ReleaseLease(s.ctx, "k", "t", store.LeaseHeld, 0) },
		"an unknown result":  func() error { return s.ReleaseLease(s.ctx, "k", "t", 9, 0) },
		"no token to end":    func() error { return s.ReleaseLease(s.ctx, "k", "", store.LeaseFree, 0) },
		"no token to lock":   func() error { _, _, err := s.Lock(s.ctx, "k", "", "", time.Second); return err },
		"no time to lock":    func() error { _, _, err := s.Lock(s.ctx, "k", "t", "", -1); return err },
		"no token to unlock": func() error { _, err := s.Unlock(s.ctx, "k", ""); return err },
		"no time to extend":  func() error { _, err := s.ExtendLock(s.ctx, "k", "t", 0); return err },
	} {
		if err := call(); err == nil || !strings.HasPrefix(err.Error(), "redisstore: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.lease("k", strings.Repeat("x", 64))
}
