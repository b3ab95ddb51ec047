package redis

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"palmops/libs/looptest"
	"palmops/libs/redistest"
)

// sentinel starts one on a host that watches over a server there and knows it as shop; it returns its address.
func sentinel(t *testing.T, host, masterPort string) string {
	t.Helper()
	at, err := looptest.AddressAt(host)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(at, ":")
	dir := t.TempDir()
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind %s\ndir %s\nsentinel monitor shop %s %s 1\n", port, host, dir, host, masterPort)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(redistest.Program, file, "--sentinel")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "+monitor master shop") {
			return at
		}
	}
	t.Fatalf("the sentinel does not come up:\n%s", said)
	return ""
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	_, host, port := free(t)
	redistest.New(t, "--port", port, "--bind", host, "--requirepass", password)
	k := kindOf(t, Server{Name: "cache", Addresses: []string{sentinel(t, host, port)}, Master: "shop", PasswordFile: passwordFile(t, password)})
	if f := ask(t, k, verbState, nil).Fields; f["role"] != "master" || f["nodes"] != "1" {
		t.Errorf("%v", f)
	}
}
