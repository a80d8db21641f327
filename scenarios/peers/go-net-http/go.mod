module lastfd.example/go-net-http

go 1.19
