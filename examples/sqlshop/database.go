package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/strata-cache/strata/examples/internal/serve"
)

// schema is the same SQL for both databases.
var schema = []string{
	`CREATE TABLE IF NOT EXISTS product (
		id BIGINT PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, cents BIGINT NOT NULL CHECK (cents > 0))`,
	`INSERT INTO product (id, name, category, cents) VALUES
		(1, 'Fountain pen', 'pens', 3900), (2, 'Pencil', 'pens', 120), (3, 'Notebook', 'paper', 650)
		ON CONFLICT DO NOTHING`,
}

// openDatabase opens the database and makes its table, if it is not there.
func openDatabase(ctx context.Context, file, postgres string) (*sql.DB, error) {
	// Readers of a database in WAL mode do not wait for a writer, and see what was there before it.
	driver, source := "sqlite", "file:"+url.PathEscape(file)+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"
	if postgres != "" {
		if u, err := url.Parse(postgres); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return nil, serve.Usagef("-postgres is no URL like postgres://user@host/database")
		}
		driver, source = "pgx", postgres
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	for _, s := range schema {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", driver, err), db.Close())
		}
	}
	return db, nil
}
