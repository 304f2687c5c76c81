package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/strata-cache/strata/core/cache"
)

// crashed is the exit status of -crash-after-commit.
const crashed = 3

// setPrice changes the price of a product, and ends what is cached of it.
//
// Update and InvalidateTags hold what they name: from then on it is read from the database, in every process,
// and not cached. The hold ends when OnCommit has returned. A process that dies before leaves it to end by
// itself; so there is no moment at which the old price could be cached again, or stay.
func (s *shop) setPrice(ctx context.Context, id, cents int64, wait bool) error {
	return cache.OnCommit(ctx, func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // after a commit it does nothing
		var category string
		err = s.products.Update(ctx, id, func(ctx context.Context) error {
			row := tx.QueryRowContext(ctx, `UPDATE product SET cents = $1 WHERE id = $2 RETURNING category`, cents, id)
			return row.Scan(&category)
		})
		if errors.Is(err, sql.ErrNoRows) {
			return cache.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := s.cache.InvalidateTags(ctx, tag(category)); err != nil {
			return err
		}
		if wait {
			if err := s.awaitCommit(ctx); err != nil {
				return err
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		if s.crash {
			fmt.Fprintln(os.Stderr, "committed, and gone")
			os.Exit(crashed)
		}
		return nil
	})
}

// awaitCommit waits for a POST to /commit.
func (s *shop) awaitCommit(ctx context.Context) error {
	fmt.Fprintln(os.Stderr, "the transaction is open until somebody posts to /commit")
	select {
	case <-s.commit:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
