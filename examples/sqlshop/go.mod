module github.com/strata-cache/strata/examples/sqlshop

go 1.26.0

require (
	github.com/jackc/pgx/v5 v5.12.0
	github.com/redis/go-redis/v9 v9.23.0
	github.com/strata-cache/strata v0.0.0
	modernc.org/sqlite v1.62.0
)

replace github.com/strata-cache/strata => ../..
