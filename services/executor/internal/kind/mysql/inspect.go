package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// readers are the words with which a query may begin. Others change something, or end the read-only transaction in which a
// query runs: DDL, for one, is not refused there but commits it.
var readers = []string{"select", "with", "show", "explain", "describe", "desc", "values", "table"}

// writers are words that make a query do more than read, wherever they stand outside quotes.
var writers = []string{"into", "outfile", "dumpfile", "get_lock", "release_lock", "release_all_locks", "analyze", "insert", "update", "delete", "lock"}

// inspect holds a query of a catalog against what a query may be, and counts its question marks. It is a second line
// of defence behind the rights of the account and the read-only transaction: it finds mistakes of who writes a catalog, and does not
// judge foreign text. Quotes with a backslash inside are refused since their end depends on the server's mode, and so are comments
// that the server runs.
func inspect(sql string) (places int, err error) {
	first := ""
	for i := 0; i < len(sql); {
		switch c := sql[i]; {
		case c == '\'' || c == '"' || c == '`':
			n := strings.IndexByte(sql[i+1:], c)
			if n < 0 {
				return 0, fmt.Errorf("a %c is not closed", c)
			}
			if strings.Contains(sql[i+1:i+1+n], `\`) {
				return 0, errors.New("a backslash in quotes: write the text as an argument")
			}
			i += n + 2
		case c == '#', strings.HasPrefix(sql[i:], "--"), strings.HasPrefix(sql[i:], "/*"):
			return 0, errors.New("comments are not allowed")
		case c == ';':
			if strings.TrimSpace(sql[i+1:]) != "" {
				return 0, errors.New("one statement only")
			}
			i++
		case c == '?':
			places++
			i++
		case c == 0 || c == '\\':
			return 0, fmt.Errorf("%q outside quotes", c)
		case isWord(c):
			n := i
			for n < len(sql) && isWord(sql[n]) {
				n++
			}
			word := strings.ToLower(sql[i:n])
			if first == "" {
				first = word
			}
			if slices.Contains(writers, word) {
				return 0, fmt.Errorf("%s is not for a query that only reads", strings.ToUpper(word))
			}
			i = n
		default:
			i++
		}
	}
	if !slices.Contains(readers, first) {
		return 0, fmt.Errorf("a query begins with one of %s", strings.ToUpper(strings.Join(readers, ", ")))
	}
	return places, nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c == '@' || c >= 0x80
}
