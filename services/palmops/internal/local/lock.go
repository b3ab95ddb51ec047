package local

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir keeps a second process away from the streams of this one, which it would damage. The lock goes with the process,
// however that ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the other error is the one to tell
		return nil, fmt.Errorf("data: %s is in use by another palmops; stop it, or name another folder with --data", dir)
	}
	return f, nil
}
