# GPAW build options for a serial build on Debian/Ubuntu (GPAW's C part is C++ since 26).
# On a cluster use the conda twin in envs/*.yaml, which brings an MPI build.
mpi = False
compiler = "g++"
fftw = True
scalapack = False
libraries = ["xc", "fftw3", "openblas"]
