package app

import (
	"errors"
	"fmt"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/token"
)

// Limits and defaults of a configuration.
const (
	DefaultWorkers = 16
	MaxWorkers     = 256
)

// Config is the executor's configuration file.
type Config struct {
	// Admin is where /healthz, /readyz and /metrics are served when the executor runs as a process of its own.
	Admin string `yaml:"admin"`
	NATS  NATS   `yaml:"nats"`
	// Catalog and KeysFile are paths, relative to the configuration file. The key file is one zone's token.KeySet.
	Catalog  string `yaml:"catalog"`
	KeysFile string `yaml:"keys_file"`
	// Workers is how many actions this process works on at once.
	Workers int `yaml:"workers"`
}

// NATS says how to reach the bus.
type NATS struct {
	URL      string `yaml:"url"`
	Creds    string `yaml:"creds"`    // user credentials file, relative to the configuration file
	Replicas int    `yaml:"replicas"` // of streams and buckets: 1 on a single server, 3 in a cluster
}

// Load reads a configuration file strictly. The error is of type conf.Problems.
func Load(path string) (Config, error) {
	c := Config{
		Admin: "127.0.0.1:8084", NATS: NATS{URL: "nats://127.0.0.1:4222", Replicas: 1}, Workers: DefaultWorkers,
	}
	if err := conf.Load(path, &c); err != nil {
		return Config{}, err
	}
	c.Catalog, c.KeysFile, c.NATS.Creds = conf.Near(path, c.Catalog), conf.Near(path, c.KeysFile), conf.Near(path, c.NATS.Creds)
	var ps conf.Problems
	ps.Merge(path, c.Validate())
	return c, ps.Err()
}

// Validate reports everything that is wrong, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fault.New(fault.Invalid, format, args...)) }
	if c.Catalog == "" {
		bad("catalog: the path of the catalog is missing")
	}
	if c.KeysFile == "" {
		bad("keys_file: the path of the zone's keys is missing")
	}
	if c.Workers < 1 || c.Workers > MaxWorkers {
		bad("workers must be 1 to %d", MaxWorkers)
	}
	if c.NATS.URL == "" {
		bad("nats.url is missing")
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > 5 {
		bad("nats.replicas must be 1 to 5")
	}
	return errors.Join(errs...)
}

// LoadKeys reads a key file. It refuses one that others than its owner may read.
func LoadKeys(path string) (token.KeySet, error) {
	data, err := conf.ReadPrivate(path)
	if err != nil {
		return token.KeySet{}, fmt.Errorf("keys_file: %w", err)
	}
	keys, err := token.ParseKeySet(data)
	if err != nil {
		return token.KeySet{}, fmt.Errorf("keys_file %s: %w", path, err)
	}
	return keys, nil
}
