package mask

import "strings"

// Shapes of secrets that need no key beside them.
const minWord = 16 // bytes; no secret with a shape of its own is shorter

// prefixes are how access keys of services begin, how long they are at least, and whether they hold capitals and digits only.
var prefixes = []struct {
	text     string
	min, max int
	capitals bool
}{
	{"AKIA", 20, 20, true},
	{"ASIA", 20, 20, true},
	{"LTAI", 16, 30, false},
	{"AKID", 36, 52, false},
	{"ghp_", 36, 255, false},
	{"gho_", 36, 255, false},
	{"ghs_", 36, 255, false},
	{"github_pat_", 40, 255, false},
	{"glpat-", 20, 255, false},
	{"xoxb-", 24, 255, false},
	{"xoxp-", 24, 255, false},
	{"sk-", 32, 255, false},
}

// words finds what is a secret by its form alone: runs of letters, digits and . _ -.
func words(s string, add func(from, to int)) {
	for i := 0; i < len(s); {
		if !wordByte(s[i]) {
			i++
			continue
		}
		from := i
		for i < len(s) && wordByte(s[i]) {
			i++
		}
		if i-from < minWord {
			continue
		}
		word := s[from:i]
		if bearer(s[:from]) {
			to := i
			for to < len(s) && strings.IndexByte("+/=~", s[to]) >= 0 {
				for to++; to < len(s) && wordByte(s[to]); to++ {
				}
			}
			add(from, to)
			i = to
			continue
		}
		if at, ok := tokenIn(word); ok {
			add(from+at, i)
		}
		for _, p := range prefixes {
			n := len(word)
			if n >= p.min && n <= p.max && strings.HasPrefix(word, p.text) && (!p.capitals || word == strings.ToUpper(word)) {
				add(from, i)
			}
		}
	}
}

// bearer reports whether a text ends with the name of a scheme of HTTP that is followed by a credential.
func bearer(before string) bool {
	for _, scheme := range []string{"bearer ", "basic "} {
		if n := len(before) - len(scheme); n >= 0 && strings.EqualFold(before[n:], scheme) {
			return true
		}
	}
	return false
}

// tokenIn finds a JWT or a token of itsdangerous in a word: parts joined by dots, of which the first is JSON in base64, plain or packed,
// and the last a signature. At is where it begins.
func tokenIn(word string) (at int, ok bool) {
	const signature = 20 // characters at least
	last := strings.LastIndexByte(word, '.')
	if len(word)-last-1 < signature {
		return 0, false
	}
	for at = 0; at < last; {
		rest := word[at:]
		next := strings.IndexByte(rest, '.')
		packed := at > 0 && (strings.HasPrefix(rest, "eJ") || strings.HasPrefix(rest, "eN") || strings.HasPrefix(rest, "eF"))
		if strings.HasPrefix(rest, "eyJ") || packed && at+next < last {
			return at, true
		}
		if at > 4*maxKey { // a token begins soon; what is longer is a list of names
			return 0, false
		}
		at += next + 1
	}
	return 0, false
}

// logins finds the passwords of scheme://user:password@host and user:password@tcp(host).
func logins(s string, add func(from, to int)) {
	for at := 0; ; {
		i := strings.Index(s[at:], "://")
		if i < 0 {
			break
		}
		at += i + 3
		end := len(s)
		if n := strings.IndexAny(s[at:min(len(s), at+1024)], "/?# \t\r\n\"'<>`"); n >= 0 {
			end = at + n
		} else {
			end = min(end, at+1024)
		}
		user := s[at:end]
		colon, host := strings.IndexByte(user, ':'), strings.LastIndexByte(user, '@')
		if colon >= 0 && colon+1 < host {
			add(at+colon+1, at+host)
		}
	}
	for _, net := range []string{"@tcp(", "@unix(", "@tcp6("} {
		for at := 0; ; {
			i := strings.Index(s[at:], net)
			if i < 0 {
				break
			}
			low := max(at, at+i-256)
			user := s[low : at+i]
			user = user[strings.LastIndexAny(user, " \t\r\n\"'`=")+1:]
			if colon := strings.IndexByte(user, ':'); colon >= 0 && colon+1 < len(user) {
				add(at+i-len(user)+colon+1, at+i)
			}
			at += i + len(net)
		}
	}
}

// keyBlocks finds what stands between the lines that begin and end a private key, also where one of the two is cut off.
func keyBlocks(s string, add func(from, to int)) {
	const mark = "PRIVATE KEY"
	from := -1 // end of a line that began a block
	for at, last := 0, 0; ; {
		i := strings.Index(s[at:], mark)
		if i < 0 {
			break
		}
		word := at + i
		at = word + len(mark)
		if strings.HasPrefix(s[at:], " BLOCK") {
			at += len(" BLOCK")
		}
		if !strings.HasPrefix(s[at:], "-----") {
			continue
		}
		at += len("-----")
		line := s[max(last, word-maxKey):word]
		begin, end := strings.LastIndex(line, "-----BEGIN "), strings.LastIndex(line, "-----END ")
		switch {
		case begin > end:
			if from >= 0 {
				add(from, from+keyLines(s[from:word]))
			}
			from = at
		case end >= 0 && from >= 0:
			add(from, word-len(line)+end)
			from = -1
		case end >= 0: // its beginning was cut off
			stop := word - len(line) + end
			add(stop-keyLinesBack(s[last:stop]), stop)
		}
		last = at
	}
	if from >= 0 {
		add(from, from+keyLines(s[from:]))
	}
}

// keyLines is how far lines go that may belong to a key.
func keyLines(s string) int {
	n := 0
	for line := range strings.Lines(s) {
		if !keyLine(line) {
			break
		}
		n += len(line)
	}
	return len(strings.TrimRight(s[:n], "\r\n"))
}

// keyLinesBack is how far back from the end of a text such lines go.
func keyLinesBack(s string) int {
	at := len(s)
	for at > 0 {
		line := strings.LastIndexByte(s[:at-1], '\n') + 1
		if !keyLine(s[line:at]) {
			break
		}
		at = line
	}
	return len(strings.TrimLeft(s[at:], "\r\n"))
}

// keyLine reports whether a line may be one of a private key: base64, a header of the block, or nothing.
func keyLine(line string) bool {
	line = strings.TrimSpace(line)
	for _, h := range []string{"Proc-Type:", "DEK-Info:", "Version:", "Comment:"} {
		if strings.HasPrefix(line, h) {
			return true
		}
	}
	for i := range len(line) {
		if c := line[i]; !wordByte(c) && strings.IndexByte(`+/=\`, c) < 0 {
			return false
		}
	}
	return true
}
