package redistest

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"
)

// ask sends one command and returns the first line of the answer.
func ask(s *Server, command string) (string, error) {
	c, err := net.Dial("unix", s.Socket())
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	fmt.Fprintf(c, "%s\r\n", command)
	return bufio.NewReader(c).ReadString('\n')
}

func TestServerKeepsWhatItHeldOverAKill(t *testing.T) {
	s := New(t)
	for _, step := range []struct{ command, want string }{{"SET a 1", "+OK\r\n"}, {"CONFIG SET appendfsync always", "+OK\r\n"}, {"SET b 2", "+OK\r\n"}} {
		if got, err := ask(s, step.command); err != nil || got != step.want {
			t.Fatalf("%s: %q %v", step.command, got, err)
		}
	}
	s.Restart()
	if got, err := ask(s, "EXISTS a b"); err != nil || got != ":2\r\n" {
		t.Errorf("after the restart: %q %v", got, err)
	}
	s.Freeze()
	s.Thaw()
	if got, err := ask(s, "PING"); err != nil || got != "+PONG\r\n" {
		t.Errorf("after the thaw: %q %v", got, err)
	}
	s.Kill()
	if got, err := ask(s, "PING"); err == nil {
		t.Errorf("a killed server answered %q", got)
	}
}
