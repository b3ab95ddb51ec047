package mariadbtest

import (
	"database/sql"
	"testing"

	driver "github.com/go-sql-driver/mysql"
)

func reach(dsn string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Ping()
}

func TestServer(t *testing.T) {
	if err := driver.SetLogger(&driver.NopLogger{}); err != nil {
		t.Fatal(err)
	}
	s, err := Start("--server-id=7")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	for range 2 {
		for _, dsn := range []string{s.DSN(""), "root:" + Password + "@tcp(" + s.Address() + ")/"} {
			if err := reach(dsn); err != nil {
				t.Error(err)
			}
		}
		if err := reach("root@tcp(" + s.Address() + ")/"); err == nil {
			t.Error("root needs no password")
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := reach(s.DSN("")); err == nil {
		t.Error("a killed server answers")
	}
}
