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

	"palmops/libs/redistest"
)

// sentinel starts one that watches over a server and knows it as shop; it returns its address.
func sentinel(t *testing.T, masterPort string) string {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor shop 127.0.0.1 %s 1\n", port, dir, masterPort)
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
			return "127.0.0.1:" + port
		}
	}
	t.Fatalf("the sentinel does not come up:\n%s", said)
	return ""
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	redistest.New(t, "--port", port, "--bind", "127.0.0.1", "--requirepass", password)
	k := kindOf(t, Server{Name: "cache", Addresses: []string{sentinel(t, port)}, Master: "shop", PasswordFile: passwordFile(t, password)})
	if f := ask(t, k, verbState, nil).Fields; f["role"] != "master" || f["nodes"] != "1" {
		t.Errorf("%v", f)
	}
}
