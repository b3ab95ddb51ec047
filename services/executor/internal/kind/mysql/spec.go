package mysql

import (
	_ "embed"
	"net"
	"regexp"
	"slices"
	"strconv"

	"palmops/services/executor/catalog"
)

// Name is what a catalog calls the kind, and Targets where it names the servers.
const (
	Name    = "mysql"
	Targets = "mysql"
)

// Verbs.
const (
	verbProcesses   = "processlist" // items: what runs, the longest first; then who holds a transaction open
	verbProcess     = "process"     // fields of one connection
	verbDatabases   = "databases"   // items: the target's databases that exist
	verbStatus      = "status"      // the server in phone size
	verbLocks       = "locks"       // who waits for whom
	verbSlow        = "slow"        // statements that run for longer than a number of seconds
	verbTop         = "top"         // statements by the time they have taken since the statistics began
	verbReplication = "replication"
	verbSizes       = "sizes" // the largest tables
	verbQuery       = "query" // a query that the catalog fixes
	verbKill        = "kill"  // ends a connection
	verbKillQuery   = "kill-query"
)

// Limits.
const (
	maxThreads  = 500
	maxRows     = 1000 // of a query's result
	maxArgs     = 32
	maxSQL      = 8 << 10
	slowDefault = 10 // seconds
)

// Server is one MySQL or MariaDB server; either Address or Socket says how to reach it.
type Server struct {
	Name         string
	Address      string // host:port
	Socket       string
	User         string
	PasswordFile string // of mode 0600; "" for no password
	TLS          bool   // the server's certificate is always verified
	CAFile       string // PEM; the system's authorities when empty
	Databases    []string
	// Unattached says that connections without a current database may be seen and ended as well.
	Unattached bool
}

// Query is what a catalog fixes for one action of the verb query.
type Query struct {
	SQL      string
	Args     []string // parameters of the action, in the order of the question marks
	Database string   // "" for the target's first
}

//go:embed schema.json
var schemaFile []byte

var (
	threadID = catalog.Need{Name: "id", Type: catalog.TypeString, Pattern: `[1-9][0-9]{0,18}`}
	asSeen   = []catalog.Need{
		threadID,
		{Name: "user", Type: catalog.TypeString, Optional: true, Pattern: "line"},
		{Name: "digest", Type: catalog.TypeString, Optional: true, Pattern: `[0-9a-f]{16}|none`},
		{Name: "started", Type: catalog.TypeString, Optional: true, Pattern: `[0-9]{1,12}`},
	}
)

// Spec is what a catalog may say about this kind.
func Spec() catalog.Spec {
	report := func(params ...catalog.Need) catalog.Verb { return catalog.Verb{Class: catalog.Report, Params: params} }
	return catalog.Spec{
		Name: Name, Targets: Targets, Target: readServer, Schema: schemaFile,
		Verbs: map[string]catalog.Verb{
			verbProcesses:   {Class: catalog.Question},
			verbProcess:     {Class: catalog.Question, Params: []catalog.Need{threadID}},
			verbDatabases:   {Class: catalog.Question},
			verbStatus:      report(),
			verbLocks:       report(),
			verbSlow:        report(catalog.Optional("seconds", 86400)),
			verbTop:         report(),
			verbReplication: report(),
			verbSizes:       report(),
			verbQuery:       {Class: catalog.Report, Open: true, Settings: readQuery},
			verbKill:        {Class: catalog.Change, Params: asSeen},
			verbKillQuery:   {Class: catalog.Change, Params: asSeen},
		},
	}
}

// databaseName is narrower than what MySQL allows: what is outside of it needs quoting everywhere.
var databaseName = regexp.MustCompile(`\A[0-9A-Za-z_$-]{1,64}\z`)

// system are the servers' own databases, which are no business of the people who chat.
var system = []string{"mysql", "information_schema", "performance_schema", "sys"}

// readServer reads an entry under targets.mysql.
func readServer(s *catalog.Section) any {
	var in struct {
		Address      string   `yaml:"address"`
		Socket       string   `yaml:"socket"`
		User         string   `yaml:"user"`
		PasswordFile string   `yaml:"password_file"`
		TLS          bool     `yaml:"tls"`
		CAFile       string   `yaml:"ca_file"`
		Databases    []string `yaml:"databases"`
		Unattached   bool     `yaml:"unattached"`
	}
	s.Decode(&in)
	if (in.Address == "") == (in.Socket == "") {
		s.Bad(nil, "exactly one of address and socket must say how to reach it")
	}
	if in.Address != "" {
		host, port, err := net.SplitHostPort(in.Address)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || host == "" || n < 1 || n > 65535 {
			s.Bad(s.At("address"), "address must be host:port")
		}
	}
	if in.User == "" || len(in.User) > 80 {
		s.Bad(s.At("user"), "user must name the account, in 1 to 80 bytes")
	}
	if in.TLS && in.Socket != "" {
		s.Bad(s.At("tls"), "tls is for an address; a socket does not leave the machine")
	}
	if in.CAFile != "" && !in.TLS {
		s.Bad(s.At("ca_file"), "ca_file is read only with tls: true")
	}
	if len(in.Databases) == 0 {
		s.Bad(nil, "databases must name at least one database that may be looked at")
	}
	for i, db := range in.Databases {
		at := s.At("databases", strconv.Itoa(i))
		switch {
		case !databaseName.MatchString(db):
			s.Bad(at, "%q is not the name of a database: 1 to 64 of letters, digits, _ $ -", db)
		case slices.Contains(system, db):
			s.Bad(at, "database %s belongs to the server itself", db)
		case slices.Contains(in.Databases[:i], db):
			s.Bad(at, "database %s is named twice", db)
		}
	}
	return Server{
		Name: s.Name, Address: in.Address, Socket: in.Socket, User: in.User, PasswordFile: s.Near(in.PasswordFile), TLS: in.TLS,
		CAFile: s.Near(in.CAFile), Databases: in.Databases, Unattached: in.Unattached,
	}
}

// readQuery reads the settings of the verb query.
func readQuery(s *catalog.Section, a catalog.Action) any {
	var in struct {
		SQL      string   `yaml:"sql"`
		Args     []string `yaml:"args"`
		Database string   `yaml:"database"`
	}
	s.Decode(&in)
	if in.SQL == "" {
		s.Bad(nil, "settings.sql must hold the query")
		return Query{}
	}
	places, err := inspect(in.SQL)
	switch {
	case len(in.SQL) > maxSQL:
		s.Bad(s.At("sql"), "sql has %d bytes, the limit is %d", len(in.SQL), maxSQL)
	case err != nil:
		s.Bad(s.At("sql"), "sql: %v", err)
	case places != len(in.Args):
		s.Bad(s.At("sql"), "sql has %d question marks, args names %d parameters", places, len(in.Args))
	case places > maxArgs:
		s.Bad(s.At("sql"), "sql has %d question marks, the limit is %d", places, maxArgs)
	}
	for i, name := range in.Args {
		if _, known := a.Param(name); !known {
			s.Bad(s.At("args", strconv.Itoa(i)), "the action has no parameter %s", name)
		}
	}
	for _, p := range a.Params {
		if !slices.Contains(in.Args, p.Name) {
			s.Bad(s.At("args"), "the parameter %s is not used", p.Name)
		}
	}
	if on, ok := a.On.(Server); ok && in.Database != "" && !slices.Contains(on.Databases, in.Database) {
		s.Bad(s.At("database"), "database %s is not one of the target's", in.Database)
	}
	return Query{SQL: in.SQL, Args: in.Args, Database: in.Database}
}
