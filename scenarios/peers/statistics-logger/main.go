// A collector of statistics: whoever connects sends lines over TCP, and they end up in log files.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
)

func main() {
	port := flag.String("port", "9125", "TCP port on loopback")
	logs := flag.String("logs", ".", "folder of the log files")
	each := flag.Bool("log-each", false, "a log file for each client, in place of one for all")
	flag.Parse()

	open := func(name string) (*os.File, error) {
		return os.OpenFile(filepath.Join(*logs, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	}
	all, err := open("statistics.log")
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+*port)
	if err != nil {
		log.Fatal(err)
	}
	for client := 1; ; client++ {
		conn, err := listener.Accept()
		if err != nil {
			// As one finds it: said, and tried again at once.
			log.Print(err)
			continue
		}
		file := all
		if *each {
			if file, err = open(fmt.Sprintf("client-%d.log", client)); err != nil {
				log.Print(err)
				conn.Close()
				continue
			}
		}
		go collect(conn, file, *each)
	}
}

// collect writes what a client sends until it leaves.
func collect(conn net.Conn, file *os.File, own bool) {
	defer conn.Close()
	if own {
		defer file.Close()
	}
	if _, err := io.Copy(file, conn); err != nil {
		log.Print(err)
	}
}
