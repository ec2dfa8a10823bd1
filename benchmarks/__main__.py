"""`python -m benchmarks`: the speed figures. See benchmarks/speed.py."""

from benchmarks.speed import main

if __name__ == "__main__":
    main()
