package redis

import (
	_ "embed"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/fill"
)

// Name is what a catalog calls the kind, and Targets where it names the servers.
const (
	Name    = "redis"
	Targets = "redis"
)

// Verbs.
const (
	verbClients = "clients" // items: who is connected, the one with most memory first
	verbClient  = "client"  // fields of one of them
	verbState   = "state"   // fields: some figures of INFO
	verbInfo    = "info"    // the server in phone size
	verbSlowlog = "slowlog"
	verbBigKeys = "bigkeys" // the largest of a number of keys
	verbMemory  = "memory"
	verbCommand = "command" // a command that only reads, fixed by the catalog
	verbWrite   = "write"   // a command that sets something to what it says, fixed by the catalog
	verbKill    = "kill-client"
)

// Limits.
const (
	maxClients  = 1000
	maxArgv     = 64
	maxScan     = 1_000_000 // keys
	defaultScan = 50_000
	maxLines    = 1000 // of a reply
)

// Server is one Redis: a single server, a cluster, or what sentinels watch over.
type Server struct {
	Name                 string
	Addresses            []string // host:port, or the path of a socket
	Cluster              bool
	Master               string // the name under which the sentinels at Addresses know it; "" without sentinels
	User                 string
	PasswordFile         string // of mode 0600; "" for none
	SentinelPasswordFile string
	TLS                  bool // the server's certificate is always verified
	CAFile               string
	DB                   int
}

// Command is a command that a catalog fixes: one text for each element, ${name} for an argument.
type Command struct {
	Argv []fill.Text
}

//go:embed schema.json
var schemaFile []byte

var (
	// clientID is a number, in a cluster with the node behind it.
	clientID = catalog.Need{Name: "id", Type: catalog.TypeString, Pattern: `[1-9][0-9]{0,18}(@[0-9A-Za-z._:\[\]-]{1,100})?`}
	asSeen   = []catalog.Need{
		clientID,
		{Name: "addr", Type: catalog.TypeString, Optional: true, Pattern: "line"},
		{Name: "since", Type: catalog.TypeString, Optional: true, Pattern: `[0-9]{1,12}`},
	}
)

// Spec is what a catalog may say about this kind.
func Spec() catalog.Spec {
	return catalog.Spec{
		Name: Name, Targets: Targets, Target: readServer, Schema: schemaFile,
		Verbs: map[string]catalog.Verb{
			verbClients: {Class: catalog.Question},
			verbClient:  {Class: catalog.Question, Params: []catalog.Need{clientID}},
			verbState:   {Class: catalog.Question},
			verbInfo:    {Class: catalog.Report},
			verbSlowlog: {Class: catalog.Report},
			verbBigKeys: {Class: catalog.Report, Params: []catalog.Need{catalog.Optional("keys", maxScan)}},
			verbMemory:  {Class: catalog.Report},
			verbCommand: {Class: catalog.Report, Open: true, Settings: commandReader(readable)},
			verbWrite:   {Class: catalog.Change, Open: true, Settings: commandReader(writable)},
			verbKill:    {Class: catalog.Change, Params: asSeen},
		},
	}
}

// readServer reads an entry under targets.redis.
func readServer(s *catalog.Section) any {
	var in struct {
		Addresses            []string `yaml:"addresses"`
		Cluster              bool     `yaml:"cluster"`
		Master               string   `yaml:"master"`
		User                 string   `yaml:"user"`
		PasswordFile         string   `yaml:"password_file"`
		SentinelPasswordFile string   `yaml:"sentinel_password_file"`
		TLS                  bool     `yaml:"tls"`
		CAFile               string   `yaml:"ca_file"`
		DB                   int      `yaml:"db"`
	}
	s.Decode(&in)
	many := in.Cluster || in.Master != ""
	if len(in.Addresses) == 0 || len(in.Addresses) > 1 && !many {
		s.Bad(nil, "addresses must name one server, or several of a cluster or sentinels")
	}
	for i, a := range in.Addresses {
		host, port, err := net.SplitHostPort(a)
		n, perr := strconv.Atoi(port)
		switch at := s.At("addresses", strconv.Itoa(i)); {
		case filepath.IsAbs(a) && (many || in.TLS):
			s.Bad(at, "a socket is for a single server without tls")
		case filepath.IsAbs(a):
		case err != nil || perr != nil || host == "" || n < 1 || n > 65535:
			s.Bad(at, "address %q must be host:port or the path of a socket", a)
		case slices.Contains(in.Addresses[:i], a):
			s.Bad(at, "address %s is named twice", a)
		}
	}
	if in.Cluster && in.Master != "" {
		s.Bad(s.At("master"), "a cluster has no sentinels")
	}
	if in.SentinelPasswordFile != "" && in.Master == "" {
		s.Bad(s.At("sentinel_password_file"), "sentinel_password_file is read only with master")
	}
	if in.User != "" && in.PasswordFile == "" {
		s.Bad(s.At("user"), "a user needs password_file")
	}
	if in.CAFile != "" && !in.TLS {
		s.Bad(s.At("ca_file"), "ca_file is read only with tls: true")
	}
	if in.DB < 0 || in.DB > 1023 || in.DB > 0 && in.Cluster {
		s.Bad(s.At("db"), "db must be 0 to 1023, and 0 for a cluster")
	}
	return Server{
		Name: s.Name, Addresses: in.Addresses, Cluster: in.Cluster, Master: in.Master, User: in.User, PasswordFile: s.Near(in.PasswordFile),
		SentinelPasswordFile: s.Near(in.SentinelPasswordFile), TLS: in.TLS, CAFile: s.Near(in.CAFile), DB: in.DB,
	}
}

// commandReader makes the reader of a verb's settings: the command must be one that allowed knows.
func commandReader(allowed func(argv []fill.Text) error) func(*catalog.Section, catalog.Action) any {
	return func(s *catalog.Section, a catalog.Action) any {
		var in struct {
			Argv []string `yaml:"argv"`
		}
		s.Decode(&in)
		if len(in.Argv) == 0 || len(in.Argv) > maxArgv {
			s.Bad(nil, "settings.argv must hold the command, 1 to %d elements", maxArgv)
			return Command{}
		}
		var out Command
		used := map[string]bool{}
		well := true
		for i, element := range in.Argv {
			at := s.At("argv", strconv.Itoa(i))
			t, err := fill.Parse(element)
			if err != nil {
				s.Bad(at, "argv: %v", err)
				well = false
			}
			for _, name := range t.Names() {
				used[name] = true
				if p, known := a.Param(name); !known || p.Optional {
					s.Bad(at, "argv: the action must have a parameter %s that is not optional", name)
				}
			}
			out.Argv = append(out.Argv, t)
		}
		for _, p := range a.Params {
			if !used[p.Name] {
				s.Bad(s.At("argv"), "argv: the parameter %s is not used", p.Name)
			}
		}
		if well {
			if err := allowed(out.Argv); err != nil {
				s.Bad(s.At("argv"), "argv: %v", err)
			}
		}
		return out
	}
}

// line is a command with its arguments as a person reads it.
func line(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		if a == "" || strings.ContainsAny(a, " \t\r\n\"'") {
			a = strconv.Quote(a)
		}
		out[i] = a
	}
	return strings.Join(out, " ")
}
