# Compiler, linker and warning settings shared by every target.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# -Wrestrict: g++ 12 warns of std::string's own operator+ (GCC bug 105329).
add_compile_options(-Wall -Wextra -Werror -Wno-missing-field-initializers -Wno-restrict -fno-omit-frame-pointer
                    -fstack-protector-strong -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
add_compile_definitions(_GNU_SOURCE)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()

set(BASTIDE_SANITIZE "" CACHE STRING "Sanitizers to build with, comma separated")
if(BASTIDE_SANITIZE)
  add_compile_options(-fsanitize=${BASTIDE_SANITIZE})
  add_link_options(-fsanitize=${BASTIDE_SANITIZE})
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
