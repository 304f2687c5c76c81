package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/internal/testserver"
)

// monitor hears what a server is asked, in its order, from the server itself.
type monitor struct {
	conn  net.Conn
	in    *bufio.Reader
	admin *redis.Client
	marks int
}

// command is one that a client has sent; what scripts call does not count.
type command struct {
	addr, name, rest string
}

// background are commands that no call waits for: connections being made, and the log being followed.
var background = []string{"hello", "client", "subscribe", "xread", "echo"}

func newMonitor(srv *testserver.Server) *monitor {
	m := &monitor{
		conn:  must((&net.Dialer{}).DialContext(context.Background(), "tcp", srv.Addr)),
		admin: redis.NewClient(&redis.Options{Addr: srv.Addr}),
	}
	m.in = bufio.NewReaderSize(m.conn, 1<<20)
	must(m.conn.Write([]byte("MONITOR\r\n")))
	must(m.in.ReadString('\n'))
	return m
}

func (m *monitor) close() {
	mustDo(m.conn.Close())
	mustDo(m.admin.Close())
}

// next returns the next command of a client.
func (m *monitor) next() command {
	for {
		// +1339518083.107412 [0 127.0.0.1:60866] "get" "key"
		line := must(m.in.ReadString('\n'))
		_, line, _ = strings.Cut(line, "[")
		who, what, _ := strings.Cut(line, "] ")
		_, addr, _ := strings.Cut(who, " ")
		name, rest, _ := strings.Cut(what, " ")
		if addr != "lua" {
			return command{addr, strings.ToLower(strings.Trim(name, "\"\r\n")), rest}
		}
	}
}

// rest returns the commands that were sent by now and not read yet.
func (m *monitor) rest() (all []command) {
	m.marks++
	mark := fmt.Sprint("mark ", m.marks)
	mustDo(m.admin.Echo(context.Background(), mark).Err())
	for {
		c := m.next()
		if c.name == "echo" && strings.Contains(c.rest, mark) {
			return all
		}
		all = append(all, c)
	}
}

// of returns the names of those commands that the node's calls have sent.
func (m *monitor) of(all []command, n *node) (names []string) {
	mine := map[string]bool{}
	for line := range strings.Lines(must(m.admin.ClientList(context.Background()).Result())) {
		if strings.Contains(line, " name="+n.client.Options().ClientName+" ") {
			_, addr, _ := strings.Cut(line, " addr=")
			addr, _, _ = strings.Cut(addr, " ")
			mine[addr] = true
		}
	}
	for _, c := range all {
		if mine[c.addr] && !slices.Contains(background, c.name) {
			names = append(names, c.name)
		}
	}
	return names
}
