package mariadbtest

import (
	"net"
	"strings"
	"testing"
)

func TestServer(t *testing.T) {
	s, err := Start("--server-id=7")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	for range 2 {
		if got, err := s.Do(t.Context(), "SELECT @@server_id"); got != "7" || err != nil {
			t.Errorf("%q %v", got, err)
		}
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		greeting := make([]byte, 5)
		if _, err := conn.Read(greeting); err != nil || greeting[4] != 10 { // the version of the protocol
			t.Errorf("greeted with % x %v", greeting, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		cmd := s.Client(t.Context(), "", "--execute=SELECT 1")
		cmd.Env = nil
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("root needs no password: %s", out)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Do(t.Context(), "SELECT nothing"); err == nil || !strings.Contains(err.Error(), "1054") {
		t.Errorf("%v", err)
	}
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := s.Do(t.Context(), "SELECT 1"); err == nil {
		t.Error("a killed server answers")
	}
}
