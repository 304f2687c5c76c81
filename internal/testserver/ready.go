package testserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// errTaken says that the port belongs to another process.
var errTaken = errors.New("testserver: the port is taken")

// awaitReady asks the server for its process id until it answers: a mere PING might be answered by
// somebody else who has taken the port.
func (s *Server) awaitReady() error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.probe()
		if err == nil || errors.Is(err, errTaken) {
			return err
		}
		select {
		case <-tick.C:
		case <-s.ended:
			log := s.logTail()
			if strings.Contains(log, "Failed listening on port") {
				return errTaken
			}
			return fmt.Errorf("testserver: the server has ended; its log:\n%s", log)
		case <-deadline.C:
			return fmt.Errorf("testserver: no answer from %s within %v: %w; its log:\n%s", s.Addr, patience, err, s.logTail())
		}
	}
}

func (s *Server) probe() error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "INFO server\r\n"); err != nil {
		return err
	}
	return s.checkInfo(bufio.NewReader(conn))
}

// checkInfo reads the reply to INFO, one bulk string. A server that wants a password first is up, too.
func (s *Server) checkInfo(r *bufio.Reader) error {
	head, err := r.ReadString('\n')
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(head, "-NOAUTH"):
		return nil
	case !strings.HasPrefix(head, "$"):
		return fmt.Errorf("testserver: the answer to INFO is %q", strings.TrimSpace(head))
	}
	size, err := strconv.Atoi(strings.TrimSpace(head[1:]))
	if err != nil || size < 0 || size > 1<<20 {
		return fmt.Errorf("testserver: the answer to INFO is %q", strings.TrimSpace(head))
	}
	info := make([]byte, size)
	if _, err := io.ReadFull(r, info); err != nil {
		return err
	}
	if !strings.Contains(string(info), fmt.Sprintf("process_id:%d\r\n", s.PID())) {
		return errTaken
	}
	return nil
}

func (s *Server) logTail() string {
	const most = 2000
	log, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-most):])
}
