package app

import (
	"fmt"

	"palmops/libs/bus"
	"palmops/libs/conf"
	"palmops/libs/token"
)

// DefaultAdmin is where /healthz, /readyz and /metrics of a dialog that runs alone are served.
const DefaultAdmin = "127.0.0.1:8083"

// Config is the dialog's configuration file. Paths in it are relative to it.
type Config struct {
	Menu   string `yaml:"menu"`   // see package menu
	Policy string `yaml:"policy"` // see package policy
	// Zones are the ops sides that actions go to, each with the keys that sign for it.
	Zones []Zone `yaml:"zones"`
	NATS  NATS   `yaml:"nats"`
	Redis Redis  `yaml:"redis"`
	Admin string `yaml:"admin"`
}

// Zone names a key file: JSON of one token.KeySet, readable by its owner alone.
type Zone struct {
	Name     string `yaml:"name"`
	KeysFile string `yaml:"keys_file"`
}

// NATS says how to reach the bus. NATS_URL of the environment wins over URL.
type NATS struct {
	URL      string `yaml:"url"`
	Creds    string `yaml:"creds"`    // user credentials file
	Replicas int    `yaml:"replicas"` // of streams and buckets: 1 on a single server, 3 in a cluster
}

// Redis says where sessions are kept. REDIS_URL of the environment wins over URL.
type Redis struct {
	URL conf.Secret `yaml:"url"`
}

// Load reads a configuration file, the key files it names, and NATS_URL and REDIS_URL of the environment, each also as
// *_FILE. The error is of type conf.Problems and holds every mistake.
func Load(path string) (Options, error) {
	c := Config{Admin: DefaultAdmin, NATS: NATS{Replicas: 1}}
	if err := conf.Load(path, &c); err != nil {
		return Options{}, err
	}
	var ps conf.Problems
	env := func(name string, into *string) {
		v, err := conf.Env(name)
		if err != nil {
			ps.Add(path, 0, "%v", err)
		}
		if v != "" {
			*into = v
		}
	}
	env("NATS_URL", &c.NATS.URL)
	env("REDIS_URL", (*string)(&c.Redis.URL))
	missing := func(value, key string) {
		if value == "" {
			ps.Add(path, 0, "%s is missing", key)
		}
	}
	missing(c.Menu, "menu")
	missing(c.Policy, "policy")
	missing(c.NATS.URL, "nats.url")
	missing(c.Redis.URL.Reveal(), "redis.url")
	if c.NATS.Replicas < 1 || c.NATS.Replicas > 5 {
		ps.Add(path, 0, "nats.replicas must be 1 to 5")
	}
	c.Menu, c.Policy, c.NATS.Creds = conf.Near(path, c.Menu), conf.Near(path, c.Policy), conf.Near(path, c.NATS.Creds)
	o := Options{Config: c, NATS: bus.Options{URL: c.NATS.URL, Creds: c.NATS.Creds}, RedisURL: c.Redis.URL}
	if len(c.Zones) == 0 {
		ps.Add(path, 0, "zones: at least one is needed")
	}
	for i, z := range c.Zones {
		file := conf.Near(path, z.KeysFile)
		c.Zones[i].KeysFile = file
		keys, err := loadKeys(file)
		if err == nil && keys.Zone != z.Name {
			err = fmt.Errorf("the keys are those of zone %q, not %q", keys.Zone, z.Name)
		}
		ps.Merge(file, err)
		o.Keys = append(o.Keys, keys)
	}
	return o, ps.Err()
}

// loadKeys reads a key file.
func loadKeys(path string) (token.KeySet, error) {
	data, err := conf.ReadPrivate(path)
	if err != nil {
		return token.KeySet{}, err
	}
	return token.ParseKeySet(data)
}
