package redisstate_test

// The servers that the tests ask: Debian's redis-server, one in this process
// where there is none, and one that never answers.

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// A server is a Redis that a test can kill and start again, without its records.
type server struct {
	network, addr string
	start, kill   func()
}

func newServer(t *testing.T) *server {
	if haveRedis(t) {
		return newRealServer(t)
	}
	return newLocalServer(t)
}

func haveRedis(t *testing.T) bool {
	_, err := exec.LookPath("redis-server")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("there is no redis-server: apt-get install redis-server")
	}
	return err == nil
}

// newRealServer starts redis-server on a socket in a directory of its own.
func newRealServer(t *testing.T, options ...string) *server {
	dir, err := os.MkdirTemp("", "redis") // t.TempDir is too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{network: "unix", addr: filepath.Join(dir, "socket")}
	options = append([]string{"--port", "0", "--unixsocket", s.addr, "--dir", dir, "--save", "", "--appendonly", "no"}, options...)
	s.start = func() {
		cmd := exec.Command("redis-server", options...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.kill = func() {
			cmd.Process.Kill()
			cmd.Wait()
		}
		if !readUntil(out, "ready to accept connections") {
			t.Fatal("redis-server did not start")
		}
		go io.Copy(io.Discard, out)
	}
	s.start()
	t.Cleanup(func() { s.kill() })
	return s
}

func readUntil(r io.Reader, text string) bool {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return true
		}
	}
	return false
}

func newLocalServer(t *testing.T) *server {
	m := miniredis.RunT(t)
	return &server{
		network: "tcp",
		addr:    m.Addr(),
		start: func() {
			m.FlushAll()
			if err := m.Restart(); err != nil {
				t.Fatal(err)
			}
		},
		kill: m.Close,
	}
}

// newSilentServer accepts connections and never answers.
func newSilentServer(t *testing.T) *server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go io.Copy(io.Discard, conn)
		}
	}()
	return &server{network: "tcp", addr: listener.Addr().String()}
}

// client returns a client of s that gives up at the first error, unless o says
// otherwise.
func (s *server) client(t *testing.T, o redis.Options) *redis.Client {
	o.Network, o.Addr = s.network, s.addr
	o.DialerRetries = 1
	if o.MaxRetries == 0 {
		o.MaxRetries = -1
	}
	client := redis.NewClient(&o)
	t.Cleanup(func() { client.Close() })
	return client
}
