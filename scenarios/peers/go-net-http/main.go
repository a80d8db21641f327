// A hello server on net/http: what Go does at its descriptor limit is all in the standard library.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
)

func main() {
	port := flag.String("port", "8080", "TCP port on loopback")
	flag.Parse()
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello\n")
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+*port, nil))
}
