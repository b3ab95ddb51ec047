package local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"palmops/libs/token"
)

// InitZone makes a zone's key file unless it is there; it is never overwritten.
func InitZone(dir, zone string) (path string, made bool, err error) {
	path = filepath.Join(dir, zone+".json")
	if _, err := os.Stat(path); err == nil {
		return path, false, nil
	}
	_, err = zoneKeys(dir, zone)
	return path, err == nil, err
}

// zoneKeys reads a zone's token keys, and makes them at the first start. The file is never overwritten.
func zoneKeys(dir, zone string) (token.KeySet, error) {
	path := filepath.Join(dir, zone+".json")
	data, err := os.ReadFile(path)
	if err == nil {
		return token.ParseKeySet(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return token.KeySet{}, fmt.Errorf("zone keys: %w", err)
	}
	keys, err := token.NewKeySet(zone, rand.Reader)
	if err != nil {
		return token.KeySet{}, fmt.Errorf("zone keys: %w", err)
	}
	if data, err = json.Marshal(keys); err != nil {
		return token.KeySet{}, fmt.Errorf("zone keys: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return token.KeySet{}, fmt.Errorf("zone keys: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return token.KeySet{}, fmt.Errorf("zone keys: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return token.KeySet{}, errors.Join(fmt.Errorf("zone keys: %w", err), os.Remove(path))
	}
	return keys, nil
}
