// The programs of incident 4, one binary: `service` has the endpoints /call and /upload and is a client of two others; `backend` is the
// gRPC server over TLS that it calls; `caller` makes the same calls by itself, with no listener.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func main() {
	commands := map[string]func([]string){"service": service, "backend": backend, "caller": caller}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		log.Fatal("usage: ", os.Args[0], " service | backend | caller …")
	}
	commands[os.Args[1]](os.Args[2:])
}

// service answers /call with a gRPC call, and /upload with a file written and a call of the API.
func service(args []string) {
	flags := flag.NewFlagSet("service", flag.ExitOnError)
	c := callsFlags(flags)
	port := flags.String("port", "8080", "TCP port on loopback")
	uploads := flags.String("uploads", ".", "folder of the uploaded files")
	flags.Parse(args)
	c.prepare()
	var number atomic.Int64
	upload := func(body io.Reader) error {
		file, err := os.Create(filepath.Join(*uploads, fmt.Sprintf("upload-%d", number.Add(1))))
		if err != nil {
			return err
		}
		if _, err = io.Copy(file, body); err == nil {
			err = file.Close()
		}
		if err != nil {
			return err
		}
		return c.http()
	}
	answer := func(path string, do func(io.Reader) error) {
		http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.Body); err != nil {
				log.Printf("%s: %v", path, err)
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			io.WriteString(w, "done\n")
		})
	}
	answer("/health", func(io.Reader) error { return nil })
	answer("/call", func(io.Reader) error { return c.grpc() })
	answer("/upload", upload)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+*port, nil))
}

// backend serves echo over TLS.
func backend(args []string) {
	flags := flag.NewFlagSet("backend", flag.ExitOnError)
	port := flags.String("port", "9101", "TCP port on loopback")
	certificate := flags.String("certificate", "certificate.pem", "file of the certificate, PEM")
	key := flags.String("key", "key.pem", "file of its key, PEM")
	flags.Parse(args)
	identity, err := credentials.NewServerTLSFromFile(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+*port)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(identity))
	server.RegisterService(&echo, nil)
	log.Fatal(server.Serve(listener))
}

// caller makes calls, some at a time, says each that fails, and stays or ends.
func caller(args []string) {
	flags := flag.NewFlagSet("caller", flag.ExitOnError)
	c := callsFlags(flags)
	kind := flags.String("kind", "grpc", "what is called: grpc or http")
	count := flags.Int("calls", 1500, "how many calls")
	concurrency := flags.Int("concurrency", 1, "calls at a time")
	start := flags.String("start", "now", "now, or usr1: when SIGUSR1 comes")
	then := flags.String("then", "stay", "after its calls: stay, or end")
	flags.Parse(args)
	begin := make(chan os.Signal, 1)
	if *start == "usr1" {
		signal.Notify(begin, syscall.SIGUSR1)
	}
	c.prepare()
	call := map[string]func() error{"grpc": c.grpc, "http": c.http}[*kind]
	if *start == "usr1" {
		<-begin
	}
	var taken, failed atomic.Int64
	var all sync.WaitGroup
	for i := 0; i < *concurrency; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for number := taken.Add(1); number <= int64(*count); number = taken.Add(1) {
				if err := call(); err != nil {
					failed.Add(1)
					log.Printf("call %d: %v", number, err)
				}
			}
		}()
	}
	all.Wait()
	fmt.Printf("%d calls, %d failed\n", *count, failed.Load())
	if *then == "end" {
		if failed.Load() > 0 {
			os.Exit(1)
		}
		return
	}
	// It keeps what it holds until it is ended. (A bare select would be a deadlock to Go.)
	forever := make(chan os.Signal, 1)
	signal.Notify(forever, syscall.SIGTERM, syscall.SIGINT)
	<-forever
}
