// Package endpoint reaches an HTTP service that a catalog names, and nothing else: the addresses it may be at are checked when a
// connection is made, redirects stay among the hosts of the catalog, and the credentials go to the service itself only. The
// kinds that speak HTTP share it.
package endpoint

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/fill"
)

// Limits of a target.
const (
	DefaultTimeout = 10 * time.Second
	MaxTimeout     = 2 * time.Minute
	maxHeaders     = 16
	secretPlace    = "secret" // the name of the place for a header's secret
)

// Form is how a catalog writes a target; kinds put it inline into theirs.
type Form struct {
	Base       string         `yaml:"base"`
	Allow      []string       `yaml:"allow"`
	Headers    []headerForm   `yaml:"headers"`
	Basic      *basicForm     `yaml:"basic"`
	CAFile     string         `yaml:"ca_file"`
	ClientCert string         `yaml:"client_cert"`
	ClientKey  string         `yaml:"client_key"`
	Timeout    *conf.Duration `yaml:"timeout"`
}

type headerForm struct {
	Name       string `yaml:"name"`
	Value      string `yaml:"value"`
	SecretFile string `yaml:"secret_file"`
}

type basicForm struct {
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// Target is one service. Paths are resolved against the catalog's own.
type Target struct {
	Name     string
	Base     *url.URL       // without a slash at the end
	Networks []netip.Prefix // the only addresses it may be at; none for any public one
	Hosts    []string       // host:port where redirects may lead to, besides the base's own
	Headers  []Header
	User     string // of basic authentication; "" for none
	Password string // file
	CA       string // file of certificates to trust instead of the system's
	Cert     string // files of a client certificate; both or none
	Key      string
	Timeout  time.Duration // of one request that reads
}

// Header is sent with every request. Value may have a place ${secret} for the content of File.
type Header struct {
	Name  string
	Value fill.Text
	File  string
}

var (
	headerName = regexp.MustCompile("\\A[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\\z")
	hostName   = regexp.MustCompile(`\A[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?\z`)
	// ownHeaders are headers that the program writes by itself.
	ownHeaders = []string{
		"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer", "Expect", "Keep-Alive",
		"Accept-Encoding", "Proxy-Authorization", "Cookie",
	}
)

// Read makes a target of its form and reports every mistake to s.
func (f Form) Read(s *catalog.Section) Target {
	t := Target{Name: s.Name, Timeout: DefaultTimeout, CA: s.Near(f.CAFile), Cert: s.Near(f.ClientCert), Key: s.Near(f.ClientKey)}
	u, err := url.Parse(f.Base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Opaque != "" || u.Path != "" && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") && u.Path != "/" {
		s.Bad(s.At("base"), "base must be an http or https URL such as https://cmdb.example.com/api, without credentials, query and fragment")
		u = &url.URL{Scheme: "http", Host: "invalid"}
	}
	t.Base = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/"), RawPath: strings.TrimSuffix(u.RawPath, "/")}
	f.readAllow(s, &t)
	f.readHeaders(s, &t)
	if f.Basic != nil {
		t.User, t.Password = f.Basic.User, s.Near(f.Basic.PasswordFile)
		if f.Basic.User == "" || f.Basic.PasswordFile == "" || strings.Contains(f.Basic.User, ":") || !printable(f.Basic.User) {
			s.Bad(s.At("basic"), "basic needs a user, without a colon, and password_file")
		}
		if slices.ContainsFunc(t.Headers, func(h Header) bool { return h.Name == "Authorization" }) {
			s.Bad(s.At("basic"), "basic and a header Authorization: only one of them can be sent")
		}
	}
	if (f.ClientCert == "") != (f.ClientKey == "") {
		s.Bad(nil, "client_cert and client_key belong together")
	}
	if u.Scheme != "https" && (f.CAFile != "" || f.ClientCert != "") {
		s.Bad(nil, "ca_file and client_cert are for https")
	}
	if f.Timeout != nil {
		if t.Timeout = time.Duration(*f.Timeout); t.Timeout < 100*time.Millisecond || t.Timeout > MaxTimeout {
			s.Bad(s.At("timeout"), "timeout must be 100ms to %s", MaxTimeout)
		}
	}
	return t
}

func (f Form) readAllow(s *catalog.Section, t *Target) {
	for i, a := range f.Allow {
		at := s.At("allow", strconv.Itoa(i))
		if addr, err := netip.ParseAddr(a); err == nil {
			a = netip.PrefixFrom(addr, addr.BitLen()).String()
		}
		if p, err := netip.ParsePrefix(a); err == nil {
			if p.Masked() != p || p.Addr().Is4In6() || p.Addr().Zone() != "" {
				s.Bad(at, "%s is not a network; %s is", a, p.Masked())
			}
			if within(never, p.Addr()) && p.Bits() >= 8 {
				s.Bad(at, "%s: link-local, metadata, multicast and unspecified addresses are never reached", a)
			}
			t.Networks = append(t.Networks, p)
			continue
		}
		if !hostName.MatchString(a) || strings.Contains(a, "..") || strings.Trim(a, "0123456789.") == "" { // 10.0.0 is a slip
			s.Bad(at, "%q is neither a network such as 10.1.0.0/16 nor a host, with a port or without", a)
			continue
		}
		t.Hosts = append(t.Hosts, strings.ToLower(a))
	}
}

func (f Form) readHeaders(s *catalog.Section, t *Target) {
	if len(f.Headers) > maxHeaders {
		s.Bad(s.At("headers"), "at most %d headers", maxHeaders)
	}
	seen := map[string]bool{}
	for i, h := range f.Headers {
		at := s.At("headers", strconv.Itoa(i))
		name := http.CanonicalHeaderKey(h.Name)
		if !headerName.MatchString(h.Name) || slices.Contains(ownHeaders, name) || seen[name] {
			s.Bad(at, "header %q: not a name, there twice, or one that palmops writes by itself", h.Name)
		}
		seen[name] = true
		value, err := fill.Parse(h.Value)
		if err != nil {
			s.Bad(at, "header %s: %v", h.Name, err)
		}
		places := value.Names()
		if h.SecretFile != "" && !slices.Equal(places, []string{secretPlace}) || h.SecretFile == "" && len(places) > 0 {
			s.Bad(at, "header %s: value has the place ${secret}, and no other, if there is a secret_file", h.Name)
		}
		if h.Value == "" || !printable(h.Value) {
			s.Bad(at, "header %s: value must be printable ASCII", h.Name)
		}
		t.Headers = append(t.Headers, Header{Name: name, Value: value, File: s.Near(h.SecretFile)})
	}
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// origin is where a URL leads to: scheme, host and port, comparable.
func origin(u *url.URL) string { return u.Scheme + "://" + hostPort(u) }

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), port)
}

// knows reports whether the host of a URL is the target's own or among those that the catalog lists. One that is listed without a
// port is meant at its scheme's.
func (t Target) knows(u *url.URL) bool {
	if hostPort(u) == hostPort(t.Base) {
		return true
	}
	return slices.ContainsFunc(t.Hosts, func(h string) bool {
		if !strings.Contains(h, ":") {
			h = hostPort(&url.URL{Scheme: u.Scheme, Host: h})
		}
		return h == hostPort(u)
	})
}
